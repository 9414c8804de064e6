<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\Curl\CurlTransport;
use Switchyard\Client\Curl\Endpoint;
use Switchyard\Client\Curl\LibCurl;
use Switchyard\Client\Curl\Settings;
use Switchyard\Client\Failure\ConfigurationException;
use Switchyard\Client\Failure\RequirementException;
use Switchyard\Client\State\ApcuStore;
use Switchyard\Client\WellKnown\EmptyMessage;

/** Says what this PHP can do, which workarounds for its libcurl are active, and whether a server answers. */
final class Doctor
{
    /** The health service is open to everybody and needs no key: https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
    private const HEALTH = '/grpc.health.v1.Health/Check';

    private bool $healthy = true;

    /** @var list<string> */
    private array $lines = [];

    private function __construct()
    {
    }

    /**
     * @param string   $dsn  of a server to call; empty for none
     * @param ?LibCurl $curl for tests; null for the one that is installed
     */
    public static function examine(string $dsn = '', ?LibCurl $curl = null): self
    {
        $doctor = new self();
        $doctor->say(true, 'PHP', \PHP_VERSION . ' ' . \PHP_SAPI);
        try {
            $curl ??= LibCurl::installed();
            $doctor->say(true, 'libcurl', $curl->name . ', HTTP/2' . ($curl->unix ? ', unix sockets' : ', no unix sockets') . ($curl->tls ? ', TLS' : ', no TLS'));
        } catch (RequirementException $e) {
            $doctor->say(false, 'libcurl', $e->getMessage());

            return $doctor;
        }
        foreach ($curl->workarounds() as $what => $active) {
            $doctor->lines[] = \sprintf('       %-11s %s', $active ? 'active' : 'not needed', $what);
        }
        $doctor->lines[] = \sprintf('       %-11s %s', $curl->sharesConnectionsBetweenRequests() ? 'yes' : 'no', 'connections outlive the request (PHP 8.5)');
        $doctor->say(true, 'zlib', \function_exists('gzencode') ? 'gzip compression' : 'missing: no compression');
        $doctor->say(true, 'mbstring', \extension_loaded('mbstring') ? 'fast check of UTF-8' : 'missing: slower check of UTF-8');
        $doctor->say(true, 'shared state', ApcuStore::available() ? 'APCu' : 'files in the folder for temporary files');
        if ('' !== $dsn) {
            $doctor->call($dsn, $curl);
        }

        return $doctor;
    }

    /** Whether nothing is missing, and the server answered. */
    public function healthy(): bool
    {
        return $this->healthy;
    }

    public function __toString(): string
    {
        return \implode("\n", $this->lines) . "\n";
    }

    private function call(string $dsn, LibCurl $curl): void
    {
        try {
            $endpoint = Endpoint::parse($dsn);
            $transport = new CurlTransport($endpoint, new Settings(), $curl);
            $begin = (int) \hrtime(true);
            $answer = $transport->unary(new MethodDescriptor(self::HEALTH, EmptyMessage::class, 2000, true), new EmptyMessage(), CallOptions::standard());
            // HealthCheckResponse { status = 1 }, which an empty message keeps as an unknown field: 1 is SERVING.
            $serving = "\x08\x01" === $answer->encode();
            $this->say($serving, 'server', \sprintf('%s answers in %.2f ms: %s', $endpoint, (\hrtime(true) - $begin) / 1e6, $serving ? 'serving' : 'not serving'));
        } catch (RpcException $e) {
            $this->say(false, 'server', $e->error->code->name . ': ' . $e->getMessage());
        } catch (ConfigurationException | RequirementException $e) {
            $this->say(false, 'server', $e->getMessage());
        }
    }

    private function say(bool $good, string $what, string $text): void
    {
        $this->healthy = $this->healthy && $good;
        $this->lines[] = \sprintf('%-6s %-12s %s', $good ? 'ok' : 'FAILED', $what, $text);
    }
}
