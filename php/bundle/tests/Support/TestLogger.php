<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use Psr\Log\AbstractLogger;

/** Remembers what was logged. */
final class TestLogger extends AbstractLogger
{
    /** @var list<array{string, string, array<string, mixed>}> level, message, context */
    public array $records = [];

    public function log($level, $message, array $context = []): void
    {
        $this->records[] = [(string) $level, (string) $message, $context];
    }
}
