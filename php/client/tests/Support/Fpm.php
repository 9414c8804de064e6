<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Support;

use PHPUnit\Framework\Assert;

/** A real PHP-FPM with a fixed number of workers, and as much of FastCGI as it takes to ask it for a page. */
final class Fpm
{
    public readonly string $socket;

    /** @var resource|null */
    private $process;

    /** @param string $settings more lines of the pool's configuration */
    public function __construct(int $workers, string $settings = '')
    {
        $binary = \current(\array_filter([\sprintf('/usr/sbin/php-fpm%d.%d', \PHP_MAJOR_VERSION, \PHP_MINOR_VERSION), '/usr/sbin/php-fpm', '/usr/local/sbin/php-fpm'], 'is_executable'));
        if (false === $binary) {
            Assert::markTestSkipped('php-fpm is not installed');
        }
        $dir = Folder::make();
        $this->socket = $dir . '/f';
        $user = 0 === \posix_geteuid() ? "user = root\ngroup = root\n" : '';
        \file_put_contents($dir . '/fpm.conf', "[global]\nerror_log = $dir/log\ndaemonize = no\n[www]\n$settings{$user}listen = $this->socket\npm = static\npm.max_children = $workers\ncatch_workers_output = yes\n"
            . "php_admin_value[display_errors] = 1\nphp_admin_value[error_reporting] = -1\nphp_admin_value[html_errors] = 0\n");
        $this->process = \proc_open([$binary, '-R', '-y', $dir . '/fpm.conf', '-F'], [['file', '/dev/null', 'r'], ['file', $dir . '/out', 'w'], ['file', $dir . '/out', 'a']], $pipes);
        for ($until = \microtime(true) + 10; !\file_exists($this->socket); \usleep(5000)) {
            if (\microtime(true) > $until) {
                Assert::fail('php-fpm did not start: ' . \file_get_contents($dir . '/out'));
            }
        }
    }

    public function __destruct()
    {
        if (null !== $this->process) {
            \proc_terminate($this->process);
            \proc_close($this->process);
        }
    }

    /**
     * Asks for a page.
     *
     * @param array<string, string> $params what the page finds in $_SERVER
     *
     * @return resource to read the answer from
     */
    public function ask(string $script, array $params)
    {
        $stream = \stream_socket_client('unix://' . $this->socket, $code, $error, 5);
        \stream_set_timeout($stream, 10);
        $body = '';
        foreach (['SCRIPT_FILENAME' => $script, 'REQUEST_METHOD' => 'GET', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'QUERY_STRING' => ''] + $params as $name => $value) {
            $body .= \pack('NN', \strlen($name) | 0x80000000, \strlen($value) | 0x80000000) . $name . $value;
        }
        $record = static fn (int $type, string $data): string => \pack('CCnnCC', 1, $type, 1, \strlen($data), 0, 0) . $data;
        \fwrite($stream, $record(1, \pack('nCx5', 1, 0)) . $record(4, $body) . $record(4, '') . $record(5, ''));

        return $stream;
    }

    /**
     * The body of the answer.
     *
     * @param resource $stream
     */
    public function read($stream): string
    {
        $out = '';
        while (8 === \strlen($header = (string) \stream_get_contents($stream, 8))) {
            ['type' => $type, 'length' => $length, 'padding' => $padding] = \unpack('Cversion/Ctype/nid/nlength/Cpadding', $header);
            $data = $length + $padding > 0 ? \substr((string) \stream_get_contents($stream, $length + $padding), 0, $length) : '';
            if (3 === $type) {
                break;
            }
            $out .= $data; // standard output, or errors, which the test wants to see too
        }
        \fclose($stream);

        return (string) \preg_replace('/^.*?\r\n\r\n/s', '', $out, 1);
    }
}
