<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Profiler;

use Switchyard\Client\Message\Message;
use Switchyard\Client\ServerStreamCall;

/**
 * @internal counts what a server stream receives
 *
 * @implements ServerStreamCall<Message>
 */
final class RecordedServerStream implements ServerStreamCall
{
    public function __construct(private readonly ServerStreamCall $inner, private readonly RecordedCall $call)
    {
    }

    public function receive(?float $timeoutSeconds = null): ?Message
    {
        $response = $this->inner->receive($timeoutSeconds);
        null === $response || $this->call->received($response);

        return $response;
    }

    public function cancel(): void
    {
        $this->inner->cancel();
    }

    public function getIterator(): \Iterator
    {
        foreach ($this->inner as $response) {
            $this->call->received($response);
            yield $response;
        }
    }
}
