<?php

declare(strict_types=1);

namespace Switchyard\Client\Middleware;

use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Failure\CircuitOpenException;
use Switchyard\Client\Failure\TlsException;
use Switchyard\Client\Grpc\Deadline;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Middleware;
use Switchyard\Client\RetryPolicy;
use Switchyard\Client\Rpc\RetryInfo;
use Switchyard\Client\RpcException;
use Switchyard\Client\ServerStreamCall;
use Switchyard\Client\State\StateStore;
use Switchyard\Client\StatusCode;

/**
 * Repeats unary calls that the contract calls idempotent, when the server could not be reached (UNAVAILABLE) or itself says when to try again
 * (google.rpc.RetryInfo), inside the deadline of the call. A budget that all workers share keeps retries from adding to an overload: so many at
 * once, and so many a second in the long run. Streams are not repeated.
 */
final class Retry implements Middleware
{
    /**
     * @param float $budget    retries at once
     * @param float $perSecond retries in the long run, per store
     * @param int   $timeoutMillis deadline of methods that have none
     * @param (\Closure(int): void)|null $sleep for tests: waits a number of milliseconds
     */
    public function __construct(
        private readonly StateStore $store,
        private readonly string $target,
        private readonly RetryPolicy $policy = new RetryPolicy(),
        private readonly float $budget = 20,
        private readonly float $perSecond = 2,
        private readonly int $timeoutMillis = 10_000,
        private readonly ?\Closure $sleep = null,
    ) {
    }

    public function unary(MethodDescriptor $method, Message $request, CallOptions $options, \Closure $next): Message
    {
        $policy = $options->retry ?? $this->policy;
        if (!$method->idempotent || $policy->maxAttempts < 2) {
            return $next($request, $options);
        }
        $deadline = Deadline::in($options->timeoutMillis ?? $method->timeoutMillis ?? $this->timeoutMillis);
        for ($attempt = 1;; ++$attempt) {
            try {
                return $next($request, 1 === $attempt ? $options : $options->withTimeout($deadline->leftMillis()));
            } catch (RpcException $e) {
                $wait = $attempt < $policy->maxAttempts ? $this->wait($e, $policy, $attempt) : null;
                if (null === $wait || $wait >= $deadline->leftMillis() || !$this->allowed()) {
                    throw $e;
                }
            }
            null === $this->sleep ? \usleep($wait * 1000) : ($this->sleep)($wait);
        }
    }

    public function stream(MethodDescriptor $method, CallOptions $options, \Closure $next): ServerStreamCall|ClientStreamCall
    {
        return $next($options);
    }

    /** Milliseconds until the next attempt, null for none. */
    private function wait(RpcException $e, RetryPolicy $policy, int $failed): ?int
    {
        if ($e instanceof CircuitOpenException || $e instanceof TlsException) {
            return null; // waiting some milliseconds changes neither
        }
        try {
            $delay = $e->detail(RetryInfo::class)?->retryDelay;
        } catch (DecodeException) {
            $delay = null;
        }
        if (null !== $delay) {
            return \max(0, (int) \ceil($delay->seconds * 1e3 + $delay->nanos / 1e6)) + $policy->backoffMillis(1);
        }

        return StatusCode::UNAVAILABLE === $e->error->code ? $policy->backoffMillis($failed) : null;
    }

    private function allowed(): bool
    {
        $granted = false;
        $this->store->update('retry.' . $this->target, function (array $state) use (&$granted): array {
            $now = \microtime(true);
            $tokens = \min($this->budget, ($state['tokens'] ?? $this->budget) + \max(0, $now - ($state['at'] ?? $now)) * $this->perSecond);
            $granted = $tokens >= 1;

            return ['tokens' => $granted ? $tokens - 1 : $tokens, 'at' => $now];
        }, 60);

        return $granted;
    }
}
