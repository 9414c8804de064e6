<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Fpm;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Fpm;
use Switchyard\Client\Tests\Support\Server;

final class FpmTest extends TestCase
{
    /** Four workers, a thousand pages, two restarts of the server: each page says something inside its deadline. */
    public function testEveryPageIsAnsweredWhileTheServerRestarts(): void
    {
        $fpm = new Fpm(4);
        $server = Server::start();
        $params = ['DSN' => 'unix://' . $server->socket, 'KEY' => $server->key, 'STATE' => Folder::make()];
        $said = [];
        $slowest = 0;
        for ($round = 0; $round < 250; ++$round) {
            if (55 === $round || 155 === $round) {
                $server->restart(); // not while requests are open: the server would inherit their sockets, and FPM waits until they are closed
            }
            \usleep(15_000); // the circuit breaker's pause of a second is to end within the test
            $streams = [];
            for ($i = 0; $i < 4; ++$i) {
                $streams[] = $fpm->ask(__DIR__ . '/page.php', $params);
            }
            if (50 === $round || 150 === $round) {
                $server->kill(); // with calls on their way
            }
            foreach ($streams as $stream) {
                $answer = $fpm->read($stream);
                self::assertMatchesRegularExpression('/^(answered|failed) [A-Z]+.* (\d+) ms$/D', $answer);
                $slowest = \max($slowest, (int) \preg_replace('/.* (\d+) ms$/', '$1', $answer));
                $said[\preg_replace('/ \d+ ms$/', '', $answer)] = ($said[\preg_replace('/ \d+ ms$/', '', $answer)] ?? 0) + 1;
            }
        }
        $server->kill();
        self::assertSame(1000, \array_sum($said));
        self::assertGreaterThan(400, $said['answered REVIEW'] ?? $said['answered ALLOW'] ?? 0, \print_r($said, true));
        self::assertStringStartsWith('answered', $answer, 'in the end all is well');
        self::assertLessThan(1000, $slowest, \print_r($said, true));
        self::assertArrayHasKey('failed UNAVAILABLE Switchyard\Client\Failure\CircuitOpenException', $said, 'workers share the circuit breaker');
    }
}
