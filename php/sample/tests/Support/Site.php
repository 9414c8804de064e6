<?php

declare(strict_types=1);

namespace App\Tests\Support;

use PHPUnit\Framework\Assert;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Fpm;
use Switchyard\Client\Tests\Support\Server;

/** The application as deploy/ runs it: nginx and php-fpm in front, the console beside; only addresses and users differ. */
final class Site
{
    public readonly string $url;
    public readonly string $varDir;

    /** @var array<string, string> */
    private readonly array $environment;

    private readonly string $dir;
    private readonly Fpm $fpm;

    /** @var resource */
    private $nginx;

    public function __construct(Server $server, int $workers)
    {
        $this->dir = Folder::make();
        $this->varDir = $this->dir . '/var';
        $this->environment = [
            'APP_ENV' => 'prod', 'APP_DEBUG' => '0', 'APP_VAR_DIR' => $this->varDir, 'APP_SECRET' => 'test',
            'SWITCHYARD_DSN' => 'unix://' . $server->socket, 'SWITCHYARD_KEY_FILE' => $server->dir . '/key', 'SYMFONY_AUTOLOAD' => (string) \getenv('SYMFONY_AUTOLOAD'),
        ];
        $this->console('cache:warmup');
        $this->fpm = new Fpm($workers, $this->pool());
        $this->url = 'http://127.0.0.1:' . $this->serve();
    }

    public function __destruct()
    {
        if (\is_resource($this->nginx ?? null)) {
            \proc_terminate($this->nginx);
            \proc_close($this->nginx);
        }
    }

    /**
     * Runs a command of the application to its end.
     *
     * @return string what it said
     */
    public function console(string ...$arguments): string
    {
        $process = \proc_open(
            [\PHP_BINARY, self::root() . '/bin/console', '--no-ansi', ...$arguments],
            [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]],
            $pipes,
            null,
            $this->environment + \getenv(),
        );
        $said = (string) \stream_get_contents($pipes[1]);
        Assert::assertSame(0, \proc_close($process), \implode(' ', $arguments) . ":\n" . $said);

        return $said;
    }

    /** What PHP and php-fpm complained about. */
    public function complaints(): string
    {
        return (string) @\file_get_contents($this->dir . '/php.log');
    }

    /** @return list<array<string, mixed>> */
    public function query(string $sql): array
    {
        return (new \PDO('sqlite:' . $this->varDir . '/sample.db'))->query($sql)->fetchAll(\PDO::FETCH_ASSOC);
    }

    /** The pool of deploy/, without what belongs to the machine. */
    private function pool(): string
    {
        $lines = \preg_grep('/^(php_|request_terminate)/', \file(self::root() . '/deploy/php-fpm.conf'));
        Assert::assertNotEmpty($lines);
        $lines[] = \sprintf("php_admin_value[error_log] = %s/php.log\n", $this->dir);
        foreach ($this->environment as $name => $value) {
            '' === $value || $lines[] = \sprintf("env[%s] = \"%s\"\n", $name, $value);
        }

        return \implode('', $lines);
    }

    /** @return int the port */
    private function serve(): int
    {
        $binary = \current(\array_filter(['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'], 'is_executable'));
        if (false === $binary) {
            Assert::markTestSkipped('nginx is not installed');
        }
        $port = Server::freePort();
        $server = \strtr((string) \file_get_contents(self::root() . '/deploy/nginx.conf'), [
            'listen 80;' => "listen 127.0.0.1:$port;", '/srv/switchyard/php/sample' => self::root(), '/run/php/sample.sock' => $this->fpm->socket,
        ]);
        $user = 0 === \posix_geteuid() ? 'user root;' : '';
        $dir = $this->dir;
        $types = \is_file('/etc/nginx/mime.types') ? 'include /etc/nginx/mime.types;' : '';
        \copy(\dirname((string) \realpath('/etc/nginx/fastcgi_params')) . '/fastcgi_params', $dir . '/fastcgi_params');
        \file_put_contents("$dir/nginx.conf", "$user daemon off; pid $dir/pid; error_log $dir/nginx.log; worker_processes 1; events {}\nhttp { $types access_log off;"
            . " client_body_temp_path $dir/body; fastcgi_temp_path $dir/fastcgi; proxy_temp_path $dir/proxy; uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;\n$server\n}\n");
        $this->nginx = \proc_open([$binary, '-p', $dir, '-c', "$dir/nginx.conf"], [['file', '/dev/null', 'r'], ['file', "$dir/out", 'w'], ['redirect', 1]], $pipes);
        for ($until = \microtime(true) + 10; false === $socket = @\stream_socket_client("tcp://127.0.0.1:$port"); \usleep(10_000)) {
            if (\microtime(true) > $until) {
                Assert::fail('nginx did not start: ' . \file_get_contents("$dir/out") . @\file_get_contents("$dir/nginx.log"));
            }
        }
        \fclose($socket);

        return $port;
    }

    private static function root(): string
    {
        return \dirname(__DIR__, 2);
    }
}
