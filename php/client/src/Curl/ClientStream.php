<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Grpc\Outcome;
use Switchyard\Client\Message\Message;
use Switchyard\Client\StatusCode;

/**
 * @internal
 *
 * @template TRequest of Message
 * @template TResponse of Message
 *
 * @implements ClientStreamCall<TRequest, TResponse>
 */
final class ClientStream implements ClientStreamCall
{
    public function __construct(private readonly Stream $stream)
    {
    }

    public function send(Message $request): void
    {
        $this->stream->send($request);
    }

    public function closeAndReceive(): Message
    {
        if ($this->stream->cancelled()) {
            throw Errors::cancelled($this->stream->method());
        }
        $this->stream->closeSend();
        // The answer counts only when the status behind it is good and nothing else follows.
        $response = $this->stream->next(null);
        if (null === $response) {
            throw Outcome::protocol(StatusCode::UNIMPLEMENTED, 'response has no message');
        }
        if (null !== $this->stream->next(null)) {
            throw $this->stream->fail(Outcome::protocol(StatusCode::UNIMPLEMENTED, 'response has more than one message'));
        }

        return $response;
    }

    public function cancel(): void
    {
        $this->stream->cancel();
    }
}
