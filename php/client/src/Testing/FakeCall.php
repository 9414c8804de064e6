<?php

declare(strict_types=1);

namespace Switchyard\Client\Testing;

use Switchyard\Client\CallOptions;
use Switchyard\Client\Message\Message;

/** One call that a fake client received. */
final class FakeCall
{
    /** @var list<Message> what was sent: one message, or for client streams all so far */
    public array $requests = [];

    public bool $cancelled = false;

    public function __construct(public readonly string $method, public readonly CallOptions $options)
    {
    }

    /** The only or first request. */
    public function request(): ?Message
    {
        return $this->requests[0] ?? null;
    }
}
