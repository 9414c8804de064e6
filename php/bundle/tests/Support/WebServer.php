<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use PHPUnit\Framework\Assert;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Server;

/** A PHP page behind "php -S" on the loopback address. It ends with the PHP process at the latest. */
final class WebServer
{
    public readonly string $dir;
    private readonly int $port;

    /** @var resource */
    private $process;

    /** @param array<string, string> $environment */
    private function __construct(string $page, array $environment)
    {
        $this->dir = Folder::make();
        $this->port = Server::freePort();
        $this->process = \proc_open(
            [\PHP_BINARY, '-S', '127.0.0.1:' . $this->port, $page],
            [['file', '/dev/null', 'r'], ['file', $this->dir . '/output', 'a'], ['file', $this->dir . '/output', 'a']],
            $pipes,
            $this->dir,
            ['TEST_DIR' => $this->dir] + $environment + \getenv(),
        );
        $until = \microtime(true) + 10;
        while (false === @\fsockopen('127.0.0.1', $this->port, $code, $message, 0.1)) {
            if (\microtime(true) > $until || !\proc_get_status($this->process)['running']) {
                Assert::fail("php -S did not start:\n" . $this->log());
            }
            \usleep(10_000);
        }
    }

    /** @param array<string, string> $environment */
    public static function start(string $page, array $environment = []): self
    {
        $server = new self($page, $environment);
        \register_shutdown_function(static function () use ($server): void {
            \proc_terminate($server->process);
            \proc_close($server->process);
        });

        return $server;
    }

    /**
     * @param list<string> $headers
     *
     * @return array{string, string} body and headers
     */
    public function get(string $path, array $headers = []): array
    {
        $curl = \curl_init('http://127.0.0.1:' . $this->port . $path);
        \curl_setopt_array($curl, [\CURLOPT_RETURNTRANSFER => true, \CURLOPT_HEADER => true, \CURLOPT_HTTPHEADER => $headers, \CURLOPT_TIMEOUT => 60]);
        $answer = (string) \curl_exec($curl);
        $size = \curl_getinfo($curl, \CURLINFO_HEADER_SIZE);

        return [\substr($answer, $size), \substr($answer, 0, $size)];
    }

    public function screenshot(string $chromium, string $path, string $file): void
    {
        $process = \proc_open([
            $chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
            '--disable-sync', '--hide-scrollbars', '--user-data-dir=' . Folder::make(), '--window-size=1400,2000', '--screenshot=' . $file,
            'http://127.0.0.1:' . $this->port . $path,
        ], [['file', '/dev/null', 'r'], ['file', $this->dir . '/chromium', 'w'], ['file', $this->dir . '/chromium', 'w']], $pipes);
        $until = \microtime(true) + 60;
        while (\proc_get_status($process)['running']) {
            if (\microtime(true) > $until) {
                \proc_terminate($process, 9);
                Assert::fail("chromium did not end:\n" . \file_get_contents($this->dir . '/chromium'));
            }
            \usleep(50_000);
        }
        \proc_close($process);
        Assert::assertFileExists($file, (string) \file_get_contents($this->dir . '/chromium'));
    }

    public function log(): string
    {
        return (string) @\file_get_contents($this->dir . '/output');
    }
}
