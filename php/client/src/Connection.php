<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Psr\Log\LoggerInterface;
use Switchyard\Client\Curl\CurlTransport;
use Switchyard\Client\Curl\Endpoint;
use Switchyard\Client\Curl\Settings;
use Switchyard\Client\Middleware\CallLog;
use Switchyard\Client\Middleware\CircuitBreaker;
use Switchyard\Client\Middleware\Credentials;
use Switchyard\Client\Middleware\Retry;
use Switchyard\Client\Middleware\TraceContext;
use Switchyard\Client\State\ApcuStore;
use Switchyard\Client\State\FileStore;
use Switchyard\Client\State\StateStore;

/**
 * Puts a transport together the way most applications want it:
 *
 *     $transport = Connection::open('unix:///run/switchyard.sock', key: $_SERVER['SWITCHYARD_KEY']);
 *     $moderation = new ModerationClient($transport);
 *
 * Around curl stand, from the outside in: the given middleware, the log, the key, the trace context, the circuit breaker, retries.
 */
final class Connection
{
    private function __construct()
    {
    }

    /**
     * Connects to nothing yet; the first call does.
     *
     * @param string                   $dsn         see Endpoint
     * @param string|\Closure(): string $key        API key; empty for none
     * @param ?LoggerInterface         $logger      any PSR-3 logger
     * @param ?StateStore              $store       null for APCu when it is there, else small files
     * @param RetryPolicy              $retry       of idempotent calls
     * @param bool                     $breaker     false for no circuit breaker
     * @param (\Closure(): ?string)|null $traceparent of the current trace; null to look for one
     * @param list<Middleware>         $middleware  outermost first
     *
     * @throws Exception when the DSN cannot be used or PHP lacks something
     */
    public static function open(
        string $dsn,
        #[\SensitiveParameter]
        string|\Closure $key = '',
        ?LoggerInterface $logger = null,
        Settings $settings = new Settings(),
        ?StateStore $store = null,
        RetryPolicy $retry = new RetryPolicy(),
        bool $breaker = true,
        ?\Closure $traceparent = null,
        array $middleware = [],
    ): Transport {
        $endpoint = Endpoint::parse($dsn);
        $store ??= ApcuStore::available() ? new ApcuStore() : new FileStore();
        $layers = $middleware;
        if (null !== $logger) {
            $layers[] = new CallLog($logger);
        }
        if ('' !== $key) {
            $layers[] = new Credentials($key);
        }
        $layers[] = new TraceContext($traceparent);
        if ($breaker) {
            $layers[] = new CircuitBreaker($store, (string) $endpoint);
        }
        $layers[] = new Retry($store, (string) $endpoint, $retry, timeoutMillis: $settings->timeoutMillis ?? 10_000);

        return new Pipeline(new CurlTransport($endpoint, $settings), ...$layers);
    }
}
