<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\CallOptions;
use Switchyard\Client\Compression;
use Switchyard\Client\Failure\ConnectionLostException;
use Switchyard\Client\Grpc\BrokenFrame;
use Switchyard\Client\Grpc\Deadline;
use Switchyard\Client\Grpc\Outcome;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;

/**
 * A call of any kind that is not over when it returns. ServerStream, ClientStream and BidiStream show the part of it that their kind has.
 *
 * @internal
 */
final class Stream
{
    /** Bytes that may wait to be sent before send() blocks. */
    private const HIGH_WATER = 256 << 10;

    /** Seconds between two looks at the cancellation of the options. */
    private const GLANCE = 0.01;

    private bool $ended = false;
    private bool $cancelled = false;
    private bool $answered = false;
    private ?RpcException $failure = null;

    /** @param \Closure(MethodDescriptor, CallOptions): ?RpcException $refusal asks again why the server refuses, when libcurl has lost it */
    public function __construct(
        private readonly Transfer $transfer,
        private readonly Exchange $exchange,
        private readonly Endpoint $endpoint,
        private readonly MethodDescriptor $method,
        private readonly CallOptions $options,
        private readonly Compression $compression,
        private readonly StreamLimits $limits,
        private readonly \Closure $refusal,
    ) {
        if (null !== $options->response) {
            ++$options->response->attempts;
        }
        $transfer->pump(0);
    }

    public function __destruct()
    {
        $this->cancel();
    }

    /** Whether the call is over, well or not. */
    public function ended(): bool
    {
        return $this->ended;
    }

    public function cancelled(): bool
    {
        return $this->cancelled;
    }

    public function method(): MethodDescriptor
    {
        return $this->method;
    }

    /** @throws RpcException when the call has failed */
    public function send(Message $request): void
    {
        if ($this->exchange->closed) {
            throw new \LogicException('send() after the end of the requests');
        }
        if ($this->over()) {
            return;
        }
        $this->exchange->queue(Request::frame($request, $this->compression, $this->limits->maxSendBytes, $this->method));
        $this->transfer->resume();
        $this->transfer->pump(0);
        if ($this->exchange->unsent() > self::HIGH_WATER) {
            $patience = Deadline::in($this->limits->firstMillis);
            while ($this->exchange->unsent() > self::HIGH_WATER && !$this->over()) {
                $this->step($patience);
            }
        }
        $this->over();
    }

    public function closeSend(): void
    {
        $this->exchange->closed = true;
        $this->transfer->resume();
        $this->transfer->pump(0);
    }

    /**
     * The next response, null at the end or when the time is up.
     *
     * @throws RpcException when the call has failed; again and again
     */
    public function next(?float $timeoutSeconds): ?Message
    {
        $until = null === $timeoutSeconds ? null : Deadline::in((int) \ceil($timeoutSeconds * 1000));
        $patience = $this->answered || null !== $this->limits->overall ? null : Deadline::in($this->limits->firstMillis);
        $look = null !== $timeoutSeconds && $timeoutSeconds <= 0;
        if ($look && !$this->exchange->frames->ready()) {
            $this->transfer->pump(0);
        }
        while (true) {
            if (null !== $message = $this->take()) {
                return $message;
            }
            if ($this->over() || $look || null !== $until && $until->passed()) {
                return null;
            }
            $this->step($patience, $until);
        }
    }

    /** Ends the call without waiting. */
    public function cancel(): void
    {
        if (!$this->ended) {
            $this->cancelled = true;
            $this->end(null, StatusCode::CANCELLED);
        }
    }

    public function fail(RpcException $failure): RpcException
    {
        $this->end($failure);

        return $failure;
    }

    private function take(): ?Message
    {
        if ($this->cancelled || null !== $this->failure) {
            return null;
        }
        try {
            $bytes = $this->exchange->frames->next($this->exchange->head->header('grpc-encoding'));
            if (null === $bytes) {
                return null;
            }
            $this->answered = true;

            return $this->method->response::decode($bytes);
        } catch (BrokenFrame $e) {
            throw $this->fail(Outcome::protocol($e->status, $e->getMessage()));
        } catch (DecodeException $e) {
            throw $this->fail(Outcome::protocol(StatusCode::INTERNAL, 'response cannot be read: ' . $e->getMessage(), $e));
        }
    }

    /** Waits until something moves, at most until one of the times. */
    private function step(?Deadline ...$times): void
    {
        $wait = null === $this->options->cancelled ? 1.0 : self::GLANCE;
        foreach ([$this->limits->overall, ...$times] as $time) {
            $wait = null === $time ? $wait : \min($wait, $time->left());
        }
        $this->transfer->pump($wait);
        if (null === $this->transfer->errno && ($this->limits->overall?->passed() || $times[0]?->passed()) && !$this->exchange->frames->ready()) {
            $this->end(Errors::deadline($this->method));
        } elseif (null !== $this->options->cancelled && ($this->options->cancelled)()) {
            $this->cancelled = true;
            $this->end(Errors::cancelled($this->method));
        }
    }

    /** Whether the call is over; throws its failure. Messages that came before a failure are handed out first. */
    private function over(): bool
    {
        if (!$this->ended && (null !== $this->transfer->errno || $this->transfer->lost) && !$this->exchange->frames->ready()) {
            $this->end($this->verdict());
        }
        if (null !== $this->failure) {
            throw $this->failure;
        }

        return $this->ended;
    }

    private function verdict(): ?RpcException
    {
        $head = $this->exchange->head;
        $noBody = !$this->exchange->bodySeen;
        $errno = $this->transfer->errno;
        if ($this->transfer->lost || 0 === $errno && 0 === $head->http && !Outcome::known($head, $noBody)) {
            if ($this->limits->overall?->passed()) {
                return Errors::deadline($this->method);
            }

            return ($this->refusal)($this->method, $this->options)
                ?? new ConnectionLostException(new RpcError(StatusCode::UNAVAILABLE, \sprintf('call to %s was refused, and this libcurl has dropped the reason; libcurl 8 has not', $this->endpoint)));
        }
        if (0 !== $errno && !Outcome::known($head, $noBody)) {
            if ($head->complete && (200 !== $head->http || !$head->isGrpc())) {
                return Outcome::of($head, $this->method, $noBody);
            }

            return Errors::of($errno, \curl_error($this->transfer->handle), $this->transfer->handle, $this->endpoint, $this->method, (bool) $this->limits->overall?->passed());
        }

        return Outcome::of($head, $this->method, $noBody)
            ?? ($this->exchange->frames->partial() ? Outcome::protocol(StatusCode::INTERNAL, 'response message is cut off') : null);
    }

    private function end(?RpcException $failure, StatusCode $code = StatusCode::OK): void
    {
        if ($this->ended) {
            return;
        }
        $this->ended = true;
        $this->failure = $failure;
        $this->exchange->head->export($this->options->response, !$this->exchange->bodySeen);
        $this->transfer->detach();
        foreach ($this->options->observers as $observer) {
            $observer($failure?->error->code ?? $code, $failure);
        }
    }
}
