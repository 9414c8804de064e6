<?php

declare(strict_types=1);

namespace Switchyard\Client\State;

/**
 * State in one small file per key, in a folder that belongs to the user of the workers alone. A missing file is the usual case and costs one
 * system call.
 */
final class FileStore implements StateStore
{
    private readonly string $dir;

    /** @param string $dir empty for a folder of this user in the system's folder for temporary files */
    public function __construct(string $dir = '')
    {
        $user = \function_exists('posix_geteuid') ? (string) \posix_geteuid() : \md5(\get_current_user());
        $this->dir = '' === $dir ? \sys_get_temp_dir() . '/switchyard-' . $user : $dir;
    }

    public function read(string $key): array
    {
        $path = $this->path($key);
        // A worker that runs for long must see the file of another one.
        \clearstatcache(true, $path);
        if (!\is_file($path) || !$this->trusted()) {
            return [];
        }

        return self::decode((string) @\file_get_contents($path));
    }

    public function update(string $key, \Closure $change, int $ttl): void
    {
        $file = $this->usable() ? @\fopen($this->path($key), 'c+') : false;
        if (false === $file) {
            $change([]); // a full or read-only disk: this worker acts on its own

            return;
        }
        try {
            \flock($file, \LOCK_EX);
            $state = $change(self::decode((string) \stream_get_contents($file)));
            \ftruncate($file, 0);
            \rewind($file);
            if ([] !== $state) {
                @\fwrite($file, (string) \json_encode($state + ['_expires' => \time() + $ttl]));
            }
        } finally {
            \fclose($file); // and unlocks
        }
    }

    /** @return array<string, int|float> */
    private static function decode(string $json): array
    {
        $state = '' === $json ? null : \json_decode($json, true);
        if (!\is_array($state) || ($state['_expires'] ?? 0) < \time()) {
            return [];
        }
        unset($state['_expires']);

        return \array_filter($state, static fn (mixed $v): bool => \is_int($v) || \is_float($v));
    }

    private function path(string $key): string
    {
        return $this->dir . '/' . \hash('xxh64', $key) . '.json';
    }

    private function usable(): bool
    {
        if (!\is_dir($this->dir)) {
            @\mkdir($this->dir, 0700, true);
            \clearstatcache(true, $this->dir);
        }

        return $this->trusted();
    }

    /** Another user of the machine may have made the folder first. */
    private function trusted(): bool
    {
        if (!\is_dir($this->dir) || \is_link($this->dir)) {
            return false;
        }

        return !\function_exists('posix_geteuid') || @\fileowner($this->dir) === \posix_geteuid();
    }
}
