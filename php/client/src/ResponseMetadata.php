<?php

declare(strict_types=1);

namespace Switchyard\Client;

/**
 * What came beside the messages of a response. Give one to a call with CallOptions::withResponseMetadata() and read it when the call
 * has ended, also when it failed; of a repeated call it holds the last attempt.
 */
final class ResponseMetadata
{
    /** @var array<string, list<string>> values by name in lower case; those of names in "-bin" are bytes */
    public array $headers = [];

    /** @var array<string, list<string>> as headers, what came behind the messages */
    public array $trailers = [];

    /** How often the call was sent. */
    public int $attempts = 0;

    /** The first value of a trailer or header. */
    public function first(string $name): ?string
    {
        return $this->trailers[$name][0] ?? $this->headers[$name][0] ?? null;
    }
}
