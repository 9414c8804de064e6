<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Curl;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Connection;
use Switchyard\Client\Curl\CurlTransport;
use Switchyard\Client\Curl\Endpoint;
use Switchyard\Client\Failure\ConfigurationException;
use Switchyard\Client\Failure\ConnectionLostException;
use Switchyard\Client\Failure\TlsException;
use Switchyard\Client\Failure\UnreachableException;
use Switchyard\Client\Rpc\BadRequest;
use Switchyard\Client\RpcException;
use Switchyard\Client\State\MemoryStore;
use Switchyard\Client\StatusCode;
use Switchyard\Client\Tests\Support\Certificates;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Client\WellKnown\Duration;
use Switchyard\Common\V1\Exception\DeadlineExceededException;
use Switchyard\Common\V1\Exception\InvalidArgumentException;
use Switchyard\Common\V1\Exception\KeyExpiredException;
use Switchyard\Common\V1\Exception\KeyInvalidException;
use Switchyard\Common\V1\Exception\RequestTooLargeException;
use Switchyard\Identity\V1\CreateKeyRequest;
use Switchyard\Identity\V1\IdentityClient;
use Switchyard\Moderation\V1\BatchModerateTextRequest;
use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerationClient;
use Switchyard\Moderation\V1\StreamModerateTextRequest;
use Switchyard\Moderation\V1\TextItem;

/** What goes wrong between an application and the server: a typed exception each, that says what to look at. */
final class FailureTest extends TestCase
{
    /** @return iterable<string, array{string}> */
    public function shapes(): iterable
    {
        yield 'unary' => ['unary'];
        yield 'stream' => ['stream'];
    }

    /** @dataProvider shapes */
    public function testAbsentServer(string $shape): void
    {
        $port = Server::freePort();
        $e = $this->fails($shape, "tcp://127.0.0.1:$port");
        self::assertInstanceOf(UnreachableException::class, $e);
        self::assertStringContainsString("tcp://127.0.0.1:$port", $e->getMessage());
        self::assertSame(StatusCode::UNAVAILABLE, $e->error->code);
    }

    /** @dataProvider shapes */
    public function testUnknownName(string $shape): void
    {
        self::assertInstanceOf(UnreachableException::class, $this->fails($shape, 'tcp://no-such-host.invalid:9090'));
    }

    /** @dataProvider shapes */
    public function testWrongSocketPath(string $shape): void
    {
        $e = $this->fails($shape, 'unix:///tmp/nothing-is-here/s.sock');
        self::assertInstanceOf(UnreachableException::class, $e);
        self::assertStringContainsString('no such socket', $e->getMessage());
    }

    /** @dataProvider shapes */
    public function testSocketOfAServerThatEnded(string $shape): void
    {
        $path = Folder::make() . '/s';
        $listener = \stream_socket_server('unix://' . $path);
        \fclose($listener);
        $e = $this->fails($shape, 'unix://' . $path);
        self::assertInstanceOf(UnreachableException::class, $e);
        self::assertStringContainsString('nothing listens', $e->getMessage());
    }

    public function testPermissionDeniedOnTheSocket(): void
    {
        if (!\function_exists('posix_geteuid')) {
            self::markTestSkipped('needs ext-posix');
        }
        $socket = Server::shared()->socket;
        \chmod($socket, 0660);
        // Root may open everything, so a child gives up being root first; it loads what it needs before.
        $code = 'require $argv[1]; $call = static function (string $dsn): string { try {
                (new Switchyard\Moderation\V1\ModerationClient(Switchyard\Client\Connection::open($dsn, breaker: false)))
                    ->moderateText(new Switchyard\Moderation\V1\ModerateTextRequest(text: "x")); return "answered";
            } catch (Throwable $e) { return get_class($e) . ": " . $e->getMessage(); } };
            $call("unix:///nothing/here"); if (0 === posix_geteuid()) { posix_setgid(65534); posix_setuid(65534); } else { chmod($argv[2], 0); }
            echo $call("unix://" . $argv[2]);';
        try {
            $said = (string) \shell_exec(\implode(' ', \array_map('escapeshellarg', [\PHP_BINARY, '-r', $code, '--', \dirname(__DIR__) . '/bootstrap.php', $socket])));
        } finally {
            \chmod($socket, 0660);
        }
        self::assertStringContainsString(UnreachableException::class, $said);
        self::assertStringContainsString('permission denied', $said);
    }

    /** @dataProvider shapes */
    public function testUntrustedTls(string $shape): void
    {
        $certificates = new Certificates(Folder::make());
        [$certificate, $key] = $certificates->issue('server');
        $server = Server::start("  tls: {cert_file: $certificate, key_file: $key}\n");
        try {
            $e = $this->fails($shape, "tls://127.0.0.1:$server->port");
            self::assertInstanceOf(TlsException::class, $e);
            self::assertStringContainsString('certificate', $e->getMessage());
            $other = new Certificates(Folder::make());
            self::assertInstanceOf(TlsException::class, $this->fails($shape, "tls://127.0.0.1:$server->port?ca=" . $other->ca));
            // Plaintext to a TLS port, and the other way round.
            self::assertSame(StatusCode::UNAVAILABLE, $this->fails($shape, "tcp://127.0.0.1:$server->port")->error->code);
            self::assertInstanceOf(TlsException::class, $this->fails($shape, 'tls://127.0.0.1:' . Server::shared()->port));
            self::assertSame('', $this->answer("tls://127.0.0.1:$server->port?ca=$certificates->ca", $server->key));
        } finally {
            $server->kill();
        }
    }

    public function testWrongAndExpiredKeys(): void
    {
        $server = Server::shared();
        $dsn = 'unix://' . $server->socket;
        self::assertInstanceOf(KeyInvalidException::class, $this->fails('unary', $dsn, 'swy_wrong_key'));
        $identity = new IdentityClient(Connection::open($dsn, $server->key));
        $secret = $identity->createKey(new CreateKeyRequest(name: 'short', scopes: ['moderation:decide'], lifetime: new Duration(1)))->secret;
        self::assertSame('', $this->answer($dsn, $secret));
        $until = \microtime(true) + 10;
        do {
            \usleep(50_000);
            $e = $this->try('unary', $dsn, $secret);
        } while (null === $e && \microtime(true) < $until);
        self::assertInstanceOf(KeyExpiredException::class, $e);
        self::assertInstanceOf(KeyExpiredException::class, $this->fails('stream', $dsn, $secret));
    }

    /** @dataProvider shapes */
    public function testDeadlineOfAMillisecond(string $shape): void
    {
        $server = Server::shared();
        $begin = \microtime(true);
        $e = $this->fails($shape, 'unix://' . $server->socket, $server->key, CallOptions::timeout(1), \str_repeat('a long text ', 8000));
        self::assertInstanceOf(DeadlineExceededException::class, $e);
        self::assertLessThan(0.5, \microtime(true) - $begin);
    }

    /** Nothing listens there: what is refused was not sent. */
    public function testTextOfFiveMebibytesIsNotSent(): void
    {
        $e = $this->fails('unary', 'unix:///nothing/here', '', null, \str_repeat('x', 5 << 20));
        self::assertInstanceOf(RequestTooLargeException::class, $e);
        self::assertStringContainsString('limit 4194304', $e->getMessage());
        self::assertSame(['limitBytes' => '4194304'], $e->error->metadata);
    }

    public function testTextThatIsTooLongForTheContractNamesTheField(): void
    {
        $server = Server::shared();
        $e = $this->fails('unary', 'unix://' . $server->socket, $server->key, null, \str_repeat('x', 3 << 20));
        self::assertInstanceOf(InvalidArgumentException::class, $e);
        self::assertStringContainsString('text', $e->detail(BadRequest::class)->fieldViolations[0]->field);
    }

    /** @dataProvider shapes */
    public function testRequestsAboveTheLimitAreNotSent(string $shape): void
    {
        $e = $this->fails($shape, 'unix:///nothing/here', '', null, \str_repeat('x', 9 << 20));
        if ($e instanceof UnreachableException) {
            self::assertSame('stream', $shape); // whose connection may have failed first

            return;
        }
        self::assertInstanceOf(RequestTooLargeException::class, $e);
        self::assertStringContainsString('limit 4194304', $e->getMessage());
    }

    public function testTextThatIsNotUtf8(): void
    {
        self::assertInstanceOf(InvalidArgumentException::class, $this->fails('unary', 'unix:///nothing/here', '', null, "\xff"));
    }

    public function testMetadataThatWouldEndTheHeader(): void
    {
        $this->expectException(ConfigurationException::class);
        $this->try('unary', 'unix:///nothing/here', '', (new CallOptions())->withMetadata('x-name', "a\r\nauthorization: Bearer other"));
    }

    public function testServerKilledInMidStream(): void
    {
        $server = Server::start();
        $call = (new ModerationClient(Connection::open('tcp://127.0.0.1:' . $server->port, $server->key)))->streamModerateText();
        $call->send(new StreamModerateTextRequest(deployment: 'comments', item: new TextItem(text: 'hello')));
        self::assertNotNull($call->receive());
        $server->kill();
        $begin = \microtime(true);
        try {
            for ($i = 0; $i < 3; ++$i) {
                $call->send(new StreamModerateTextRequest(item: new TextItem(text: 'hello')));
                $call->receive();
            }
            self::fail('the stream goes on');
        } catch (RpcException $e) {
            self::assertInstanceOf(ConnectionLostException::class, $e);
            self::assertLessThan(2, \microtime(true) - $begin);
        }
        try {
            $call->receive();
            self::fail('a failed stream fails again');
        } catch (RpcException $again) {
            self::assertSame($e, $again);
        }
    }

    public function testKeptConnectionsSurviveARestart(): void
    {
        $server = Server::start();
        $dsn = 'unix://' . $server->socket;
        $moderation = new ModerationClient(new CurlTransport(Endpoint::parse($dsn)));
        $call = static function () use ($moderation, $server): ?RpcException {
            try {
                $moderation->moderateText(new ModerateTextRequest(deployment: 'comments', text: 'hello'), (new CallOptions())->withMetadata('authorization', 'Bearer ' . $server->key));

                return null;
            } catch (RpcException $e) {
                return $e;
            }
        };
        self::assertNull($call());
        self::assertNull($call());
        $server->kill();
        self::assertInstanceOf(UnreachableException::class, $call());
        $server->restart();
        self::assertNull($call());
        self::assertNull($call());
        $server->kill();
    }

    public function testBatchErrorsNameTheField(): void
    {
        $server = Server::shared();
        $moderation = new ModerationClient(Connection::open('unix://' . $server->socket, $server->key));
        try {
            $moderation->batchModerateText(new BatchModerateTextRequest(deployment: 'comments'));
            self::fail('an empty batch was taken');
        } catch (InvalidArgumentException $e) {
            self::assertSame('items', $e->detail(BadRequest::class)->fieldViolations[0]->field);
        }
    }

    private function fails(string $shape, string $dsn, string $key = '', ?CallOptions $options = null, string $text = 'hello'): RpcException
    {
        return $this->try($shape, $dsn, $key, $options, $text) ?? self::fail('the call went well');
    }

    private function answer(string $dsn, string $key): string
    {
        return $this->try('unary', $dsn, $key)?->getMessage() ?? '';
    }

    private function try(string $shape, string $dsn, string $key = '', ?CallOptions $options = null, string $text = 'hello'): ?RpcException
    {
        $moderation = new ModerationClient(Connection::open($dsn, $key, store: new MemoryStore()));
        try {
            if ('unary' === $shape) {
                $moderation->moderateText(new ModerateTextRequest(deployment: 'comments', text: $text), $options);
            } else {
                $call = $moderation->streamModerateText($options);
                $call->send(new StreamModerateTextRequest(deployment: 'comments', item: new TextItem(text: $text)));
                $call->receive();
            }
        } catch (RpcException $e) {
            return $e;
        }

        return null;
    }
}
