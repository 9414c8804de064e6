<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\Tests\Support\Folder;

/** Everything that the bundle does, in a process of its own in which Symfony's class loader compares signatures: nothing of it may be deprecated. */
final class DeprecationsTest extends TestCase
{
    public function testTheBundleTriggersNoDeprecation(): void
    {
        $process = \proc_open([\PHP_BINARY, __DIR__ . '/Support/deprecations.php'], [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']], $pipes, Folder::make());
        $out = (string) \stream_get_contents($pipes[1]);
        $errors = (string) \stream_get_contents($pipes[2]);
        self::assertSame(0, \proc_close($process), $out . $errors);
        $result = \json_decode($out, true, 8, \JSON_THROW_ON_ERROR);
        self::assertSame([], $result['ours']);
        // Proof that deprecations are seen at all.
        self::assertGreaterThan(0, $result['provoked']);
    }
}
