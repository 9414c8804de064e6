<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger\Spool;

use Psr\Log\LoggerInterface;

/**
 * Small durable files that several processes write and read. A file is complete or not there: it is written under another name, brought to disk and renamed,
 * and carries a checksum. Whoever reads one locks it, so that two processes do not do the same work; a lock ends with its process.
 *
 * @internal
 */
final class Folder
{
    private const MAGIC = 'SYSPOOL1';
    private const HEAD = 40; // magic and SHA-256
    /** After so many seconds a file that is still being written belongs to a process that died. */
    private const ABANDONED = 3600;

    /** @param string $suffix of the files, such as ".task" */
    public function __construct(private readonly string $dir, private readonly string $suffix, private readonly ?LoggerInterface $logger = null)
    {
    }

    /**
     * Stores a file, durably when it returns.
     *
     * @param string $key       what find() finds it by; of several files the newest
     * @param int    $maxFiles  of the folder
     * @param int    $maxBytes  of their contents
     *
     * @throws SpoolFullException when there is no room
     * @throws SpoolException     when the disk does not take it
     */
    public function put(string $key, string $content, int $maxFiles, int $maxBytes): void
    {
        $this->make();
        $bytes = self::MAGIC . \hash('sha256', $content, true) . $content;
        $name = \sprintf('%016x-%d-%s', (int) (\microtime(true) * 1e6), \strlen($bytes), \hash('xxh128', $key));
        $temporary = $this->dir . '/' . $name . '.' . \getmypid() . '.tmp';
        $lock = $this->lock();
        try {
            [$files, $size] = $this->usage();
            if ($files >= $maxFiles || $size + \strlen($bytes) > $maxBytes) {
                throw new SpoolFullException(\sprintf('%s holds %d files of %d bytes, limits %d and %d; the server has to take them first.', $this->dir, $files, $size, $maxFiles, $maxBytes));
            }
            $this->write($temporary, $bytes);
            if (!@\rename($temporary, $this->dir . '/' . $name . $this->suffix)) {
                throw new SpoolException(\sprintf('%s cannot be renamed: %s', $temporary, self::lastError()));
            }
            $this->sync();
        } catch (\Throwable $e) {
            @\unlink($temporary);
            throw $e;
        } finally {
            \fclose($lock);
        }
    }

    /**
     * The files, oldest first, each locked while it is worked on. Files that another process works on are left out; damaged ones are set aside.
     *
     * @return \Generator<int, Entry>
     */
    public function entries(int $most = \PHP_INT_MAX): \Generator
    {
        foreach ($this->names() as $name) {
            if ($most-- <= 0) {
                return;
            }
            $entry = $this->open($this->dir . '/' . $name);
            if (null !== $entry) {
                try {
                    yield $entry;
                } finally {
                    $entry->release();
                }
            }
        }
    }

    /** The newest file of a key, locked, after any other process that works on it; null when there is none. The caller releases it. */
    public function find(string $key): ?Entry
    {
        $end = '-' . \hash('xxh128', $key) . $this->suffix;
        foreach (\array_reverse($this->names()) as $name) {
            if (\str_ends_with($name, $end) && null !== $entry = $this->open($this->dir . '/' . $name, true)) {
                return $entry;
            }
        }

        return null;
    }

    /** Deletes files that were stored so many seconds ago. */
    public function expire(int $seconds): void
    {
        $oldest = \sprintf('%016x', (int) ((\microtime(true) - $seconds) * 1e6));
        foreach ($this->names() as $name) {
            if ($name > $oldest) {
                return;
            }
            @\unlink($this->dir . '/' . $name);
        }
    }

    public function count(): int
    {
        return \count($this->names());
    }

    /** Brings renames and deletions to disk. */
    public function sync(): void
    {
        $handle = @\fopen($this->dir, 'r');
        if (false !== $handle) {
            @\fsync($handle);
            \fclose($handle);
        }
    }

    /** Moves a file that cannot be used out of the way. */
    public function setAside(Entry $entry, string $why): void
    {
        $this->moveAside($entry->path, $why);
    }

    public function make(): void
    {
        if (!\is_dir($this->dir) && !@\mkdir($this->dir, 0o770, true) && !\is_dir($this->dir)) {
            throw new SpoolException(\sprintf('%s cannot be made: %s', $this->dir, self::lastError()));
        }
    }

    /** @return list<string> */
    private function names(): array
    {
        $names = @\scandir($this->dir); // sorted: oldest first
        $out = [];
        foreach (false === $names ? [] : $names as $name) {
            if (\str_ends_with($name, $this->suffix)) {
                $out[] = $name;
            } elseif (\str_ends_with($name, '.tmp') && \time() - (int) @\filemtime($this->dir . '/' . $name) > self::ABANDONED) {
                @\unlink($this->dir . '/' . $name);
            }
        }

        return $out;
    }

    /** @return array{int, int} files and bytes */
    private function usage(): array
    {
        $names = $this->names();
        $bytes = 0;
        foreach ($names as $name) {
            $bytes += (int) (\explode('-', $name)[1] ?? 0);
        }

        return [\count($names), $bytes];
    }

    private function write(string $path, string $bytes): void
    {
        $handle = @\fopen($path, 'x');
        if (false === $handle) {
            throw new SpoolException(\sprintf('%s cannot be written: %s', $path, self::lastError()));
        }
        $written = @\fwrite($handle, $bytes);
        $done = \strlen($bytes) === $written && @\fflush($handle) && @\fsync($handle);
        \fclose($handle);
        @\chmod($path, 0o660);
        if (!$done) {
            throw new SpoolException(\sprintf('%s cannot be written: %s', $path, self::lastError()));
        }
    }

    private function open(string $path, bool $wait = false): ?Entry
    {
        $handle = @\fopen($path, 'r+');
        if (false === $handle) {
            return null; // done by another process
        }
        if (!\flock($handle, $wait ? \LOCK_EX : \LOCK_EX | \LOCK_NB)) {
            \fclose($handle);

            return null;
        }
        $bytes = (string) \stream_get_contents($handle);
        if (0 === (\fstat($handle)['nlink'] ?? 0)) {
            \fclose($handle); // done by another process since

            return null;
        }
        $content = \substr($bytes, self::HEAD);
        if (!\str_starts_with($bytes, self::MAGIC) || \substr($bytes, 8, 32) !== \hash('sha256', $content, true)) {
            $this->moveAside($path, 'is damaged');
            \fclose($handle);

            return null;
        }

        return new Entry($path, $content, $handle);
    }

    private function moveAside(string $path, string $why): void
    {
        $broken = $this->dir . '/broken';
        @\mkdir($broken, 0o770, true);
        $moved = @\rename($path, $broken . '/' . \basename($path));
        $this->logger?->error('{file} {why} and was set aside in {folder}; look at it and delete it', ['file' => $path, 'why' => $why, 'folder' => $moved ? $broken : 'vain']);
    }

    /** @return resource */
    private function lock()
    {
        $handle = @\fopen($this->dir . '/lock', 'c');
        if (false === $handle || !\flock($handle, \LOCK_EX)) {
            throw new SpoolException(\sprintf('%s cannot be locked: %s', $this->dir, self::lastError()));
        }

        return $handle;
    }

    private static function lastError(): string
    {
        return \error_get_last()['message'] ?? 'unknown reason';
    }
}
