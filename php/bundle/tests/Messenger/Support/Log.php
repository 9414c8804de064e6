<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Messenger\Support;

use Psr\Log\AbstractLogger;

final class Log extends AbstractLogger
{
    /** @var list<string> */
    public array $lines = [];

    /** @param mixed[] $context */
    public function log($level, $message, array $context = []): void
    {
        $this->lines[] = $level . ': ' . $message;
    }

    public function has(string $part): bool
    {
        return \str_contains(\implode("\n", $this->lines), $part);
    }
}
