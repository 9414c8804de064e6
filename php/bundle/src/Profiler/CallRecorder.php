<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Profiler;

use Switchyard\Client\MethodDescriptor;
use Symfony\Component\Stopwatch\Stopwatch;
use Symfony\Contracts\Service\ResetInterface;

/** Remembers the calls of a request for the profiler. Exists in debug only. */
final class CallRecorder implements ResetInterface
{
    /** @var list<RecordedCall> */
    private array $calls = [];

    private int $omitted = 0;

    public function __construct(
        private readonly int $maxCalls,
        private readonly Payload $payload,
        private readonly ?Stopwatch $stopwatch = null,
    ) {
    }

    /** The middleware that records the calls of one client. */
    public function of(string $client): Recording
    {
        return new Recording($this, $client);
    }

    /** @internal called by Recording */
    public function begin(string $client, MethodDescriptor $method, string $shape): RecordedCall
    {
        $name = \explode('/', \ltrim($method->path, '/'));
        $kept = \count($this->calls) < $this->maxCalls;
        $call = new RecordedCall(
            $client,
            $name[0],
            $name[1] ?? '',
            $shape,
            $this->payload,
            // A name of its own for each call: Stopwatch merges what has the same name.
            $kept ? $this->stopwatch?->start(\sprintf('switchyard %s #%d', $name[1] ?? $method->path, \count($this->calls) + 1), 'switchyard') : null,
        );
        if ($kept) {
            $this->calls[] = $call;
        } else {
            ++$this->omitted;
        }

        return $call;
    }

    /** @return list<RecordedCall> in the order they began */
    public function calls(): array
    {
        return $this->calls;
    }

    /** How many more there were than are kept. */
    public function omitted(): int
    {
        return $this->omitted;
    }

    public function reset(): void
    {
        $this->calls = [];
        $this->omitted = 0;
    }
}
