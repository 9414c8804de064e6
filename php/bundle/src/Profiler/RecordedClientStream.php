<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Profiler;

use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Message\Message;

/**
 * @internal counts what a client stream sends
 *
 * @implements ClientStreamCall<Message, Message>
 */
final class RecordedClientStream implements ClientStreamCall
{
    public function __construct(private readonly ClientStreamCall $inner, private readonly RecordedCall $call)
    {
    }

    public function send(Message $request): void
    {
        $this->inner->send($request);
        $this->call->sent($request);
    }

    public function closeAndReceive(): Message
    {
        $response = $this->inner->closeAndReceive();
        $this->call->received($response);

        return $response;
    }

    public function cancel(): void
    {
        $this->inner->cancel();
    }
}
