<?php

declare(strict_types=1);

namespace Switchyard\Client\State;

/** Small pieces of state that PHP workers share. Losing one does no harm, so implementations never throw. */
interface StateStore
{
    /** @return array<string, int|float> empty when there is none */
    public function read(string $key): array;

    /**
     * Replaces a piece of state by what the closure makes of it; no other worker changes it meanwhile.
     *
     * @param \Closure(array<string, int|float>): array<string, int|float> $change an empty array removes it
     * @param int                                                          $ttl    seconds after which it may be forgotten
     */
    public function update(string $key, \Closure $change, int $ttl): void;
}
