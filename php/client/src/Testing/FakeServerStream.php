<?php

declare(strict_types=1);

namespace Switchyard\Client\Testing;

use Switchyard\Client\Message\Message;
use Switchyard\Client\ServerStreamCall;

/**
 * @internal made by fake clients
 *
 * @implements ServerStreamCall<Message>
 */
final class FakeServerStream implements ServerStreamCall
{
    private readonly \Generator $responses;
    private bool $started = false;

    /** @param iterable<Message|\Throwable> $responses a \Throwable is thrown when its turn comes */
    public function __construct(private readonly FakeCall $call, iterable $responses)
    {
        $this->responses = (static function () use ($responses): \Generator {
            foreach ($responses as $response) {
                yield $response instanceof \Throwable ? throw $response : $response;
            }
        })();
    }

    public function receive(?float $timeoutSeconds = null): ?Message
    {
        if ($this->call->cancelled) {
            return null;
        }
        if ($this->started) {
            $this->responses->next();
        }
        $this->started = true;

        return $this->responses->valid() ? $this->responses->current() : null;
    }

    public function cancel(): void
    {
        $this->call->cancelled = true;
    }

    public function getIterator(): \Iterator
    {
        $ended = false;
        try {
            while (null !== $response = $this->receive()) {
                yield $response;
            }
            $ended = true;
        } finally {
            if (!$ended) {
                $this->cancel();
            }
        }
    }
}
