<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\BidiCall;
use Switchyard\Client\Message\Message;

/**
 * @internal
 *
 * @template TRequest of Message
 * @template TResponse of Message
 *
 * @implements BidiCall<TRequest, TResponse>
 */
final class BidiStream implements BidiCall
{
    use Responses;

    public function __construct(private readonly Stream $stream)
    {
    }

    public function send(Message $request): void
    {
        $this->stream->send($request);
    }

    public function closeSend(): void
    {
        $this->stream->closeSend();
    }
}
