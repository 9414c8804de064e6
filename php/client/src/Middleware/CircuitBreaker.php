<?php

declare(strict_types=1);

namespace Switchyard\Client\Middleware;

use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Failure\CircuitOpenException;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Middleware;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\ServerStreamCall;
use Switchyard\Client\State\StateStore;
use Switchyard\Client\StatusCode;

/**
 * Stops calling a server that does not answer, so that pages do not wait for it. After a number of failures in a row, of all workers that
 * share the store, calls fail at once; after a pause one call is let through, and its end decides. A failure is UNAVAILABLE or
 * DEADLINE_EXCEEDED, unless the caller allowed less time than the contract; any other answer shows that the server works.
 *
 * While all is well a call costs one look into the store, and nothing is written.
 */
final class CircuitBreaker implements Middleware
{
    /**
     * @param string $target        whose state it is: the endpoint
     * @param int    $failures      in a row until the circuit opens
     * @param int    $windowSeconds failures with a longer pause between them are not in a row
     * @param float  $pauseSeconds  first pause; doubles with each failed trial up to $maxPauseSeconds
     * @param (\Closure(): float)|null $clock seconds, for tests
     */
    public function __construct(
        private readonly StateStore $store,
        private readonly string $target,
        private readonly int $failures = 5,
        private readonly int $windowSeconds = 30,
        private readonly float $pauseSeconds = 1,
        private readonly float $maxPauseSeconds = 30,
        private readonly ?\Closure $clock = null,
    ) {
    }

    public function unary(MethodDescriptor $method, Message $request, CallOptions $options, \Closure $next): Message
    {
        $known = $this->enter();
        try {
            $response = $next($request, $options);
        } catch (RpcException $e) {
            if (!self::impatient($e->error->code, $method, $options)) {
                $this->leave($e->error->code, $known);
            }
            throw $e;
        }
        $this->leave(StatusCode::OK, $known);

        return $response;
    }

    public function stream(MethodDescriptor $method, CallOptions $options, \Closure $next): ServerStreamCall|ClientStreamCall
    {
        $known = $this->enter();

        return $next($options->withObserver(function (StatusCode $code) use ($known, $method, $options): void {
            // That the caller gave up says nothing about the server.
            if (StatusCode::CANCELLED !== $code && !self::impatient($code, $method, $options)) {
                $this->leave($code, $known);
            }
        }));
    }

    /** Forgets all failures. */
    public function reset(): void
    {
        $this->store->update($this->key(), static fn (): array => [], 1);
    }

    /** Whether calls fail at once now. */
    public function isOpen(): bool
    {
        return ($this->store->read($this->key())['until'] ?? 0) > $this->now();
    }

    /**
     * @return bool whether failures are known, so that a success has to be written down
     *
     * @throws CircuitOpenException
     */
    private function enter(): bool
    {
        $state = $this->store->read($this->key());
        if (!isset($state['until'])) {
            return [] !== $state;
        }
        $left = $state['until'] - $this->now();
        if ($left <= 0) {
            // Half open: whoever moves the time on is the one that tries; the others wait for what comes of it.
            $trial = false;
            $this->store->update($this->key(), function (array $now) use (&$trial, $state): array {
                $trial = ($now['until'] ?? null) === $state['until'];

                return $trial ? ['until' => $this->now() + \max(1, $state['pause'] ?? 1)] + $now : $now;
            }, $this->ttl());
            if ($trial) {
                return true;
            }
            $left = $state['pause'] ?? 1;
        }
        throw new CircuitOpenException(new RpcError(
            StatusCode::UNAVAILABLE,
            \sprintf('%s failed %d times in a row; calls are tried again in %.1f s', $this->target, $state['failed'] ?? 0, \max(0, $left)),
        ));
    }

    private static function impatient(StatusCode $code, MethodDescriptor $method, CallOptions $options): bool
    {
        return StatusCode::DEADLINE_EXCEEDED === $code && null !== $options->timeoutMillis && $options->timeoutMillis < ($method->timeoutMillis ?? 1000);
    }

    private function leave(StatusCode $code, bool $known): void
    {
        if (StatusCode::UNAVAILABLE !== $code && StatusCode::DEADLINE_EXCEEDED !== $code) {
            if ($known) {
                $this->reset();
            }

            return;
        }
        $this->store->update($this->key(), function (array $state): array {
            $now = $this->now();
            $failed = $now - ($state['last'] ?? 0) > $this->windowSeconds && !isset($state['until']) ? 1 : ($state['failed'] ?? 0) + 1;
            $next = ['failed' => $failed, 'last' => $now];
            if ($failed >= $this->failures) {
                $pause = isset($state['pause']) ? \min($this->maxPauseSeconds, $state['pause'] * 2) : $this->pauseSeconds;
                // Calls that were on their way when the circuit opened do not lengthen the pause.
                $next += isset($state['until'], $state['opened']) && $state['opened'] + $this->pauseSeconds > $now
                    ? ['pause' => $state['pause'], 'until' => $state['until'], 'opened' => $state['opened']]
                    : ['pause' => $pause, 'until' => $now + $pause, 'opened' => $now];
            }

            return $next;
        }, $this->ttl());
    }

    private function ttl(): int
    {
        return (int) \ceil($this->windowSeconds + 2 * $this->maxPauseSeconds);
    }

    private function key(): string
    {
        return 'breaker.' . $this->target;
    }

    private function now(): float
    {
        return null === $this->clock ? \microtime(true) : ($this->clock)();
    }
}
