<?php

declare(strict_types=1);

namespace Switchyard\Client;

/** What one call changes. Immutable: each with…() returns a copy. */
final class CallOptions
{
    private static ?self $standard = null;

    /**
     * @param ?int                        $timeoutMillis deadline; null for that of the method
     * @param array<string, list<string>> $metadata      request headers, names in lower case
     */
    public function __construct(
        public readonly ?int $timeoutMillis = null,
        public readonly array $metadata = [],
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
        return new self($millis, $this->metadata);
    }

    /** Adds a value to a request header. */
    public function withMetadata(string $name, string $value): self
    {
        $metadata = $this->metadata;
        $metadata[\strtolower($name)][] = $value;

        return new self($this->timeoutMillis, $metadata);
    }
}
