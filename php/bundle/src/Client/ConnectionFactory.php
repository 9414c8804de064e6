<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Client;

use Psr\Log\LoggerInterface;
use Switchyard\Bundle\Profiler\CallRecorder;
use Switchyard\Client\Compression;
use Switchyard\Client\Connection;
use Switchyard\Client\Curl\Settings;
use Switchyard\Client\Failure\ConfigurationException;
use Switchyard\Client\Middleware;
use Switchyard\Client\RetryPolicy;
use Switchyard\Client\Transport;

/** Makes the transport of a client from its configuration. */
final class ConnectionFactory
{
    /** @param iterable<Middleware> $middleware outermost first */
    public function __construct(
        private readonly ?LoggerInterface $logger = null,
        private readonly ?RequestTrace $trace = null,
        private readonly iterable $middleware = [],
        private readonly ?CallRecorder $recorder = null,
    ) {
    }

    /**
     * Connects to nothing yet. The values come from the configuration as they are when the process runs, so environment variables are checked here.
     *
     * @param string                                        $client   its name, for messages
     * @param ?string                                       $dsn      unix:///path, tcp://host:port, tls://host:port
     * @param array{ca: ?string, cert: ?string, key: ?string} $tls      PEM text or paths
     * @param int                                           $timeout  milliseconds, 0 for the contract's
     * @param int                                           $connectTimeout milliseconds, 0 for 2000
     *
     * @throws ConfigurationException naming the client and what is wrong with it
     */
    public function open(
        string $client,
        ?string $dsn,
        #[\SensitiveParameter]
        ?string $key,
        #[\SensitiveParameter]
        array $tls = ['ca' => null, 'cert' => null, 'key' => null],
        int $timeout = 0,
        int $connectTimeout = 0,
        int $retries = 2,
        bool $circuitBreaker = true,
        string $compression = 'none',
    ): Transport {
        if ('' === (string) $dsn) {
            throw new ConfigurationException(\sprintf('Switchyard client "%s": the DSN is empty. Is the environment variable SWITCHYARD_DSN set, such as to unix:///run/switchyard.sock?', $client));
        }
        $layers = [...(null === $this->recorder ? [] : [$this->recorder->of($client)]), ...$this->middleware];
        if ($timeout > 0) {
            $layers[] = new StandardDeadline($timeout);
        }
        try {
            return Connection::open(
                self::withTls($dsn, $tls),
                key: \trim((string) $key),
                logger: $this->logger,
                settings: new Settings(
                    connectTimeoutMillis: 0 === $connectTimeout ? 2_000 : $connectTimeout,
                    compression: 'gzip' === $compression ? Compression::GZIP : Compression::NONE,
                ),
                retry: new RetryPolicy(maxAttempts: 1 + $retries),
                breaker: $circuitBreaker,
                traceparent: null === $this->trace ? null : $this->trace->traceparent(...),
                middleware: $layers,
            );
        } catch (ConfigurationException $e) {
            throw new ConfigurationException(\sprintf('Switchyard client "%s": %s', $client, $e->getMessage()), 0, $e);
        }
    }

    /** @param array{ca: ?string, cert: ?string, key: ?string} $tls */
    private static function withTls(string $dsn, array $tls): string
    {
        $tls = \array_filter($tls, static fn (?string $value): bool => null !== $value && '' !== $value);
        if ([] === $tls) {
            return $dsn;
        }
        if (!\str_starts_with($dsn, 'tls:') && !\str_starts_with($dsn, 'https:')) {
            throw new ConfigurationException('"tls" is configured, but the DSN does not begin with tls://');
        }

        return $dsn . (\str_contains($dsn, '?') ? '&' : '?') . \http_build_query($tls);
    }
}
