<?php

declare(strict_types=1);

namespace Switchyard\Client;

/** What one call changes. Immutable: each with…() returns a copy. */
final class CallOptions
{
    private static ?self $standard = null;

    /**
     * @param ?int                                                 $timeoutMillis deadline of the whole call; null for that of the method
     * @param array<string, list<string>>                          $metadata      request headers, names in lower case; values of names in "-bin" are bytes
     * @param ?RetryPolicy                                         $retry         null for that of the connection
     * @param ?Compression                                         $compression   null for that of the transport
     * @param ?ResponseMetadata                                    $response      receives the headers and trailers
     * @param (\Closure(): bool)|null                              $cancelled     asked about every 10 ms while a call waits; true ends it with CANCELLED
     * @param list<\Closure(StatusCode, ?RpcException): void>      $observers     called once when a stream has ended
     */
    public function __construct(
        public readonly ?int $timeoutMillis = null,
        public readonly array $metadata = [],
        public readonly ?RetryPolicy $retry = null,
        public readonly ?Compression $compression = null,
        public readonly ?ResponseMetadata $response = null,
        public readonly ?\Closure $cancelled = null,
        public readonly array $observers = [],
    ) {
    }

    public static function standard(): self
    {
        return self::$standard ??= new self();
    }

    public static function timeout(int $millis): self
    {
        return new self($millis);
    }

    public function withTimeout(int $millis): self
    {
        return $this->change('timeoutMillis', $millis);
    }

    /** Adds a value to a request header. */
    public function withMetadata(string $name, string $value): self
    {
        $metadata = $this->metadata;
        $metadata[\strtolower($name)][] = $value;

        return $this->change('metadata', $metadata);
    }

    public function withRetry(RetryPolicy $policy): self
    {
        return $this->change('retry', $policy);
    }

    public function withCompression(Compression $compression): self
    {
        return $this->change('compression', $compression);
    }

    public function withResponseMetadata(ResponseMetadata $into): self
    {
        return $this->change('response', $into);
    }

    /**
     * Ends the call with CANCELLED as soon as the closure returns true, for example after a signal.
     *
     * @param \Closure(): bool $cancelled
     */
    public function withCancellation(\Closure $cancelled): self
    {
        return $this->change('cancelled', $cancelled);
    }

    /**
     * Adds a closure that is called once when a stream has ended, with its status and, if it failed, the exception.
     *
     * @param \Closure(StatusCode, ?RpcException): void $observer
     */
    public function withObserver(\Closure $observer): self
    {
        return $this->change('observers', [...$this->observers, $observer]);
    }

    private function change(string $name, mixed $value): self
    {
        return new self(...\array_replace(\get_object_vars($this), [$name => $value]));
    }
}
