<?php

declare(strict_types=1);

namespace Switchyard\Client\State;

/** State of this PHP process alone: for tests and long-running workers. */
final class MemoryStore implements StateStore
{
    /** @var array<string, array<string, int|float>> */
    private array $state = [];

    public function read(string $key): array
    {
        return $this->state[$key] ?? [];
    }

    public function update(string $key, \Closure $change, int $ttl): void
    {
        $this->state[$key] = $change($this->state[$key] ?? []);
        if ([] === $this->state[$key]) {
            unset($this->state[$key]);
        }
    }
}
