<?php

declare(strict_types=1);

namespace Switchyard\Client\Testing;

use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Message\Message;

/**
 * @internal made by fake clients
 *
 * @implements ClientStreamCall<Message, Message>
 */
final class FakeClientStream implements ClientStreamCall
{
    public function __construct(private readonly FakeCall $call, private readonly Message|\Closure $answer)
    {
    }

    public function send(Message $request): void
    {
        $this->call->requests[] = $request;
    }

    public function closeAndReceive(): Message
    {
        return $this->answer instanceof \Closure ? ($this->answer)($this->call->requests) : $this->answer;
    }

    public function cancel(): void
    {
        $this->call->cancelled = true;
    }
}
