<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Messenger;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Tests\Messenger\Support\Queue;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Jobs\V1\GetQueueRequest;

/** Several processes send and consume messages while the server is killed and started again. */
final class RestartTest extends TestCase
{
    private const SENDERS = 4;
    private const EACH = 125;
    private const WORKERS = 2;

    /** @var list<resource> */
    private array $processes = [];

    protected function tearDown(): void
    {
        foreach ($this->processes as $process) {
            if (\is_resource($process)) {
                \proc_terminate($process, 9);
                \proc_close($process);
            }
        }
    }

    public function testEveryMessageIsHandledOnceOverKillsOfTheServer(): void
    {
        $server = Server::start();
        $dir = Folder::make();
        $handled = $dir . '/handled';
        $arguments = [$server->socket, $server->key, $dir . '/spool', 'restarts'];
        $workers = [];
        for ($i = 0; $i < self::WORKERS; ++$i) {
            $workers[] = $this->start('consume.php', [...$arguments, $handled], $dir . "/worker$i");
        }
        $senders = [];
        for ($i = 0; $i < self::SENDERS; ++$i) {
            $senders[] = $this->start('send.php', [...$arguments, "s$i", (string) self::EACH], $dir . "/sender$i");
        }
        for ($kills = 0; $kills < 4; ++$kills) {
            \usleep(\random_int(200_000, 700_000));
            $server->kill();
            \usleep(\random_int(0, 800_000));
            $server->restart();
        }
        foreach ($senders as $sender) {
            self::assertSame(0, $this->finish($sender, 120), 'a sender failed: ' . $this->output($dir));
        }
        $sent = [];
        for ($i = 0; $i < self::SENDERS; ++$i) {
            \array_push($sent, ...\file($dir . "/sender$i", \FILE_IGNORE_NEW_LINES));
        }
        self::assertCount(self::SENDERS * self::EACH, $sent);

        $until = \microtime(true) + 90;
        do {
            \usleep(100_000);
            $texts = \is_file($handled) ? \file($handled, \FILE_IGNORE_NEW_LINES) : [];
        } while (\count(\array_unique($texts)) < \count($sent) && \microtime(true) < $until);
        \sleep(6); // longer than a lease: whatever would come again has come
        \touch($handled . '.stop');
        foreach ($workers as $worker) {
            self::assertSame(0, $this->finish($worker, 30), 'a worker failed: ' . $this->output($dir));
        }
        $texts = \file($handled, \FILE_IGNORE_NEW_LINES);
        self::assertSame([], \array_values(\array_diff($sent, $texts)), 'messages that nobody handled');
        $twice = \array_keys(\array_filter(\array_count_values($texts), static fn (int $n): bool => $n > 1));
        self::assertSame([], $twice, "messages that were handled twice\n" . $this->output($dir));
        self::assertSame([], \glob($dir . '/spool/default/tasks/*.task'));
        $queue = Queue::client($server->socket, $server->key)->getQueue(new GetQueueRequest('restarts'));
        self::assertSame([0, 0, 0, 0], [$queue->due, $queue->delayed, $queue->leased, $queue->dead], 'due, delayed, leased, dead');
    }

    /**
     * @param list<string> $arguments
     *
     * @return resource
     */
    private function start(string $script, array $arguments, string $out)
    {
        $process = \proc_open([\PHP_BINARY, __DIR__ . '/Support/' . $script, ...$arguments], [['file', '/dev/null', 'r'], ['file', $out, 'w'], ['file', $out . '.log', 'w']], $pipes);
        self::assertIsResource($process);

        return $this->processes[] = $process;
    }

    /** @param resource $process */
    private function finish($process, int $seconds): int
    {
        $until = \microtime(true) + $seconds;
        while (($status = \proc_get_status($process))['running']) {
            if (\microtime(true) > $until) {
                return -1;
            }
            \usleep(20_000);
        }

        return $status['exitcode'];
    }

    private function output(string $dir): string
    {
        return \substr(\implode('', \array_map(\file_get_contents(...), \glob($dir . '/*.log'))), -4000);
    }
}
