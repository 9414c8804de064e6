<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\State;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\State\ApcuStore;
use Switchyard\Client\State\FileStore;
use Switchyard\Client\State\MemoryStore;
use Switchyard\Client\State\StateStore;
use Switchyard\Client\Tests\Support\Folder;

final class StateStoreTest extends TestCase
{
    /** @return iterable<string, array{StateStore|null}> */
    public function stores(): iterable
    {
        yield 'memory' => [new MemoryStore()];
        yield 'files' => [new FileStore(Folder::make())];
        yield 'APCu' => [ApcuStore::available() ? new ApcuStore() : null];
    }

    /** @dataProvider stores */
    public function testStateIsKeptPerKeyAndRemoved(?StateStore $store): void
    {
        if (null === $store) {
            self::markTestSkipped('needs ext-apcu and apc.enable_cli=1');
        }
        $a = 'a' . \bin2hex(\random_bytes(4));
        self::assertSame([], $store->read($a));
        $store->update($a, static fn (array $s): array => ['n' => ($s['n'] ?? 0) + 1, 'f' => 0.5], 10);
        $store->update($a, static fn (array $s): array => ['n' => ($s['n'] ?? 0) + 1] + $s, 10);
        self::assertEquals(['n' => 2, 'f' => 0.5], $store->read($a));
        self::assertSame([], $store->read($a . 'b'));
        $store->update($a, static fn (): array => [], 10);
        self::assertSame([], $store->read($a));
    }

    public function testProcessesDoNotLoseUpdatesOfFiles(): void
    {
        if (!\function_exists('pcntl_fork')) {
            self::markTestSkipped('needs ext-pcntl');
        }
        $dir = Folder::make();
        $code = 'require $argv[1]; $s = new Switchyard\Client\State\FileStore($argv[2]);
            for ($i = 0; $i < 200; ++$i) { $s->update("k", static fn (array $s): array => ["n" => ($s["n"] ?? 0) + 1], 60); }';
        $children = [];
        for ($i = 0; $i < 4; ++$i) {
            $children[] = \proc_open([\PHP_BINARY, '-r', $code, '--', \dirname(__DIR__, 2) . '/autoload.php', $dir], [], $pipes);
        }
        foreach ($children as $child) {
            self::assertSame(0, \proc_close($child));
        }
        self::assertSame(['n' => 800], (new FileStore($dir))->read('k'));
    }

    public function testFilesOfNobodysUseAreIgnored(): void
    {
        $dir = Folder::make();
        $store = new FileStore($dir);
        $store->update('k', static fn (): array => ['n' => 1], -5);
        self::assertSame([], $store->read('k'), 'expired');
        foreach (\glob($dir . '/*') as $file) {
            \file_put_contents($file, '{"n": [1], "m": "x", "_expires": 99999999999, broken');
        }
        self::assertSame([], $store->read('k'));
        $store->update('k', static fn (array $s): array => ['n' => \count($s)], 5);
        self::assertSame(['n' => 0], $store->read('k'));
    }

    public function testAFolderThatCannotBeMadeCostsOnlyTheSharing(): void
    {
        $called = false;
        $store = new FileStore('/proc/no/such/folder');
        $store->update('k', static function (array $s) use (&$called): array { $called = true; return ['n' => 1]; }, 5);
        self::assertTrue($called);
        self::assertSame([], $store->read('k'));
    }

    public function testAFolderOfAnotherUserIsNotTrusted(): void
    {
        if (!\function_exists('posix_geteuid') || 0 !== \posix_geteuid()) {
            self::markTestSkipped('needs root');
        }
        $dir = Folder::make();
        $store = new FileStore($dir);
        $store->update('k', static fn (): array => ['n' => 1], 5);
        \chown($dir, 65534);
        \clearstatcache();
        self::assertSame([], $store->read('k'));
    }
}
