<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\Curl\CurlTransport;
use Switchyard\Client\Curl\Endpoint;
use Switchyard\Client\Curl\LibCurl;
use Switchyard\Client\Curl\Settings;
use Switchyard\Client\Doctor;
use Switchyard\Client\Failure\ConfigurationException;
use Switchyard\Client\Failure\RequirementException;
use Switchyard\Client\Tests\Support\Server;

/** What is missing is said in one sentence with what to install. */
final class DoctorTest extends TestCase
{
    public function testWorkaroundsFollowTheVersion(): void
    {
        $active = static fn (int $version): array => \array_values((new LibCurl($version, 'x'))->workarounds());
        self::assertSame([true, true, false, true, true], $active(0x075801)); // 7.88.1
        self::assertSame([false, false, true, false, true], $active(0x080500)); // 8.5.0
        self::assertSame([false, false, true, false, false], $active(0x080B00)); // 8.11.0
        self::assertSame([false, false, false, false, false], $active(0x080E01)); // 8.14.1
    }

    public function testAServerIsCalled(): void
    {
        $doctor = Doctor::examine('unix://' . Server::shared()->socket);
        self::assertTrue($doctor->healthy(), (string) $doctor);
        self::assertStringContainsString('serving', (string) $doctor);
        self::assertStringContainsString('libcurl < 8.6', (string) $doctor);
        $doctor = Doctor::examine('unix:///nothing/here');
        self::assertFalse($doctor->healthy());
        self::assertStringContainsString('no such socket', (string) $doctor);
    }

    public function testMissingCurlExtension(): void
    {
        $said = (string) \shell_exec(\escapeshellarg(\PHP_BINARY) . ' -n ' . \escapeshellarg(\dirname(__DIR__) . '/bin/switchyard-client-doctor') . ' 2>&1');
        self::assertStringContainsString('apt-get install php-curl', $said);
        self::assertStringNotContainsString('Fatal', $said);
    }

    /** An application meets it where it connects: one sentence, and no fatal error. */
    public function testConnectingWithoutTheCurlExtension(): void
    {
        $code = 'require $argv[1]; try { Switchyard\Client\Connection::open("unix:///run/s"); } catch (Switchyard\Client\Exception $e) { echo get_class($e), ": ", $e->getMessage(); }';
        $said = (string) \shell_exec(\implode(' ', \array_map('escapeshellarg', [\PHP_BINARY, '-n', '-r', $code, '--', \dirname(__DIR__) . '/autoload.php'])) . ' 2>&1');
        self::assertStringStartsWith(RequirementException::class . ': ', $said);
        self::assertStringContainsString('apt-get install php-curl', $said);
    }

    public function testCurlWithoutHttp2(): void
    {
        $this->expectException(RequirementException::class);
        $this->expectExceptionMessage('HTTP/2');
        new CurlTransport(Endpoint::unix('/run/s'), new Settings(), new LibCurl(0x080500, '8.5.0', http2: false));
    }

    public function testCurlWithoutUnixSocketsOrTls(): void
    {
        foreach ([Endpoint::unix('/run/s'), Endpoint::tls('localhost', 443)] as $endpoint) {
            try {
                new CurlTransport($endpoint, new Settings(), new LibCurl(0x080500, '8.5.0', unix: false, tls: false));
                self::fail('taken');
            } catch (RequirementException $e) {
                self::assertStringContainsString('libcurl 8.5.0', $e->getMessage());
            }
        }
    }

    /** @return iterable<array{string, string}> DSN and what it stands for */
    public function addresses(): iterable
    {
        yield ['unix:///run/switchyard.sock', 'unix:///run/switchyard.sock'];
        yield ['unix:/run/switchyard.sock', 'unix:///run/switchyard.sock'];
        yield ['tcp://127.0.0.1', 'tcp://127.0.0.1:9090'];
        yield ['http://localhost:1/', 'tcp://localhost:1'];
        yield ['tls://[::1]:9443', 'tls://[::1]:9443'];
        yield ['https://switchyard.example', 'tls://switchyard.example:443'];
    }

    /** @dataProvider addresses */
    public function testAddresses(string $dsn, string $meaning): void
    {
        self::assertSame($meaning, (string) Endpoint::parse($dsn));
    }

    public function testWhatIsNoAddress(): void
    {
        foreach (['', 'localhost:9090', 'unix://run/s', 'ftp://a', 'tcp://', 'tcp://a:99999', 'tcp://a/path', 'tcp://user:pw@a', 'tls://a?verify=0', 'tcp://a?ca=/x',
            'tls://a?ca=/no/such/file', 'tls://a?cert=/etc/hostname', 'unix:///' . \str_repeat('x', 120), "tcp://a b"] as $dsn) {
            try {
                Endpoint::parse($dsn);
                self::fail($dsn . ' was taken');
            } catch (ConfigurationException $e) {
                self::assertStringNotContainsString('pw', $e->getMessage());
            }
        }
    }
}
