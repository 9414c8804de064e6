<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Support;

use PHPUnit\Framework\Assert;

/** A real Switchyard with its starter models, in a folder of its own. It ends with the PHP process at the latest. */
final class Server
{
    public readonly string $key;
    public readonly string $socket;
    public readonly int $port;

    private static ?self $shared = null;

    private readonly string $binary;

    /** @var resource|null */
    private $process;

    private function __construct(public readonly string $dir, string $grpcYaml)
    {
        $binary = \getenv('SWITCHYARD_BIN') ?: \dirname(__DIR__, 4) . '/bin/switchyard';
        if (!\is_executable($binary)) {
            Assert::markTestSkipped('no ' . $binary . ': run "make build", or set SWITCHYARD_BIN');
        }
        $this->socket = $dir . '/s';
        $this->port = self::freePort();
        \file_put_contents($dir . '/config.yaml', "grpc:\n  drain_timeout: 1s\n" . $grpcYaml);
        $this->binary = $binary;
        $this->restart();
        $this->key = \trim((string) \file_get_contents($dir . '/key'));
    }

    /** Starts it again after kill(), with the same data. */
    public function restart(): void
    {
        $this->process = \proc_open([
            $this->binary, 'serve', '--config', $this->dir . '/config.yaml', '--data-dir', $this->dir . '/data', '--grpc', '127.0.0.1:' . $this->port,
            '--http', 'none', '--socket', $this->socket, '--dev-key-file', $this->dir . '/key',
        ], [['file', '/dev/null', 'r'], ['file', $this->dir . '/out', 'w'], ['file', $this->dir . '/log', 'w']], $pipes);
        $until = \microtime(true) + 30;
        while (!\str_contains((string) @\file_get_contents($this->dir . '/out') . @\file_get_contents($this->dir . '/log'), "ready")) {
            if (\microtime(true) > $until || !\proc_get_status($this->process)['running']) {
                Assert::fail("server did not start:\n" . \file_get_contents($this->dir . '/out') . \file_get_contents($this->dir . '/log'));
            }
            \usleep(10_000);
        }
    }

    /** The one that tests share which do not harm it. */
    public static function shared(): self
    {
        return self::$shared ??= self::start();
    }

    /** @param string $grpcYaml lines of the section "grpc", indented by two spaces */
    public static function start(string $grpcYaml = ''): self
    {
        $dir = Folder::make();
        $server = new self($dir, $grpcYaml);
        \register_shutdown_function($server->kill(...));

        return $server;
    }

    /** Ends it without giving it time for anything. */
    public function kill(): void
    {
        if (null !== $this->process) {
            \proc_terminate($this->process, 9);
            \proc_close($this->process);
            $this->process = null;
        }
    }

    public static function freePort(): int
    {
        $socket = \stream_socket_server('tcp://127.0.0.1:0');
        $name = \stream_socket_get_name($socket, false);
        \fclose($socket);

        return (int) \substr($name, \strrpos($name, ':') + 1);
    }
}
