<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger\Spool;

/** One file of a spool, locked by this process until release(). @internal */
final class Entry
{
    /** @param resource $handle */
    public function __construct(public readonly string $path, public readonly string $content, private $handle)
    {
    }

    /** What it held has been done: it is deleted. */
    public function done(): void
    {
        @\unlink($this->path);
        $this->release();
    }

    /** It stays for another time. */
    public function release(): void
    {
        if (\is_resource($this->handle)) {
            \fclose($this->handle); // ends the lock too
        }
    }
}
