<?php

declare(strict_types=1);

namespace Switchyard\Client\State;

/** State in the shared memory of one PHP-FPM master. */
final class ApcuStore implements StateStore
{
    private const LOCK_TRIES = 40;

    public static function available(): bool
    {
        return \function_exists('apcu_enabled') && \apcu_enabled();
    }

    public function read(string $key): array
    {
        $state = \apcu_fetch('switchyard.' . $key);

        return \is_array($state) ? $state : [];
    }

    public function update(string $key, \Closure $change, int $ttl): void
    {
        $name = 'switchyard.' . $key;
        // A worker that dies with the lock delays others by 2 ms each until the lock runs out.
        for ($try = 0; !($locked = \apcu_add($name . '.lock', 1, 1)) && $try < self::LOCK_TRIES; ++$try) {
            \usleep(50);
        }
        try {
            $state = $change($this->read($key));
            [] === $state ? \apcu_delete($name) : \apcu_store($name, $state, $ttl);
        } finally {
            if ($locked) {
                \apcu_delete($name . '.lock');
            }
        }
    }
}
