<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Messenger;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Messenger\Spool\Folder as SpoolFolder;
use Switchyard\Bundle\Messenger\Spool\SpoolException;
use Switchyard\Bundle\Messenger\Spool\SpoolFullException;
use Switchyard\Client\Tests\Support\Folder;

final class SpoolTest extends TestCase
{
    public function testFilesComeOldestFirstAndOneAtATime(): void
    {
        $dir = Folder::make();
        [$mine, $theirs] = [new SpoolFolder($dir, '.task'), new SpoolFolder($dir, '.task')];
        foreach (['a', 'b', 'c'] as $content) {
            $mine->put($content, $content, 10, 1000);
        }
        $seen = [];
        foreach ($mine->entries() as $entry) {
            $seen[] = $entry->content;
            $others = [];
            foreach ($theirs->entries() as $other) {
                $others[] = $other->content;
            }
            self::assertNotContains($entry->content, $others, 'another has a file that is worked on');
            $entry->done();
        }
        self::assertSame(['a', 'b', 'c'], $seen);
        self::assertSame(0, $theirs->count());
    }

    public function testSeveralProcessesKeepNoMoreThanTheyMay(): void
    {
        $dir = Folder::make();
        $code = \sprintf('require %s; $f = new %s(%s, ".task"); $n = 0; for ($i = 0; $i < 50; ++$i) { try { $f->put(getmypid() . "-$i", str_repeat("x", 100), 40, PHP_INT_MAX); ++$n; } catch (%s $e) {} } echo $n;',
            \var_export(__DIR__ . '/bootstrap.php', true), SpoolFolder::class, \var_export($dir, true), SpoolFullException::class);
        $processes = [];
        for ($i = 0; $i < 4; ++$i) {
            $processes[] = \popen(\escapeshellarg(\PHP_BINARY) . ' -r ' . \escapeshellarg($code), 'r');
        }
        $kept = 0;
        foreach ($processes as $process) {
            $kept += (int) \stream_get_contents($process);
            \pclose($process);
        }
        self::assertSame(40, $kept);
        self::assertSame(40, (new SpoolFolder($dir, '.task'))->count());
    }

    public function testAFullDiskIsSaidAndLeavesNothingBehind(): void
    {
        $dir = Folder::make();
        if (0 !== \posix_geteuid() || false === @\exec('mount -t tmpfs -o size=64k tmpfs ' . $dir . ' 2>/dev/null', $out, $code) || 0 !== $code) {
            self::markTestSkipped('mounting a small file system needs root');
        }
        try {
            $folder = new SpoolFolder($dir, '.task');
            $folder->put('small', 'x', 10, \PHP_INT_MAX);
            try {
                $folder->put('large', \str_repeat('x', 100_000), 10, \PHP_INT_MAX);
                self::fail('100,000 bytes fit into 64 KiB');
            } catch (SpoolException) {
            }
            self::assertSame(1, $folder->count());
            self::assertSame([], \glob($dir . '/*.tmp'));
        } finally {
            \exec('umount ' . $dir);
        }
    }

    public function testAFolderThatCannotBeMadeIsSaid(): void
    {
        $this->expectException(SpoolException::class);
        (new SpoolFolder('/proc/nothing/here', '.task'))->put('a', 'a', 1, 100);
    }
}
