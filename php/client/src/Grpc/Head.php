<?php

declare(strict_types=1);

namespace Switchyard\Client\Grpc;

use Switchyard\Client\ResponseMetadata;

/**
 * Collects the header lines that curl hands over: a status line, headers, an empty line and, behind the body, trailers without a
 * status line. A response without a body has its status among the headers.
 *
 * @internal
 */
final class Head
{
    public int $http = 0;

    /** Whether all headers have come; what follows are trailers. */
    public bool $complete = false;

    /** @var array<string, list<string>> */
    public array $headers = [];

    /** @var array<string, list<string>> */
    public array $trailers = [];

    public function line(string $line): void
    {
        if (!$this->complete && \str_starts_with($line, 'HTTP/')) {
            // Also the line behind an interim response such as 100 or 103.
            $this->http = (int) \substr($line, (int) \strpos($line, ' ') + 1, 3);
            $this->headers = [];

            return;
        }
        $line = \rtrim($line, "\r\n");
        if ('' === $line) {
            $this->complete = $this->complete || $this->http >= 200;

            return;
        }
        $colon = \strpos($line, ':');
        if (false === $colon) {
            return;
        }
        $name = \strtolower(\substr($line, 0, $colon));
        $value = \trim(\substr($line, $colon + 1), " \t");
        if ($this->complete) {
            $this->trailers[$name][] = $value;
        } else {
            $this->headers[$name][] = $value;
        }
    }

    public function header(string $name): string
    {
        return $this->headers[$name][0] ?? '';
    }

    /** A trailer; of a response without a body, a header. */
    public function trailer(string $name, bool $noBody): ?string
    {
        return $this->trailers[$name][0] ?? ($noBody && [] === $this->trailers ? $this->headers[$name][0] ?? null : null);
    }

    /** Whether the content type is one of gRPC with protobuf messages. */
    public function isGrpc(): bool
    {
        $type = \strtolower(\trim(\explode(';', $this->header('content-type'), 2)[0]));

        return 'application/grpc' === $type || 'application/grpc+proto' === $type;
    }

    /** Hands the metadata to the caller, without what belongs to the protocol. */
    public function export(?ResponseMetadata $into, bool $noBody): void
    {
        if (null === $into) {
            return;
        }
        // gRPC calls the only block of headers of a response without a body its trailers.
        $trailersOnly = $noBody && [] === $this->trailers && isset($this->headers['grpc-status']);
        $into->headers = $trailersOnly ? [] : self::decode($this->headers);
        $into->trailers = self::decode($trailersOnly ? $this->headers : $this->trailers);
    }

    /**
     * @param array<string, list<string>> $headers
     *
     * @return array<string, list<string>>
     */
    private static function decode(array $headers): array
    {
        $out = [];
        foreach ($headers as $name => $values) {
            if ('grpc-status' === $name || 'grpc-message' === $name || 'grpc-status-details-bin' === $name) {
                continue;
            }
            foreach ($values as $value) {
                foreach (Metadata::values((string) $name, $value) as $v) {
                    $out[$name][] = $v;
                }
            }
        }

        return $out;
    }
}
