<?php

declare(strict_types=1);

namespace Switchyard\Client\Grpc;

use Switchyard\Client\Compression;
use Switchyard\Client\StatusCode;

/**
 * Cuts a body into messages: a flag byte, four bytes of length, the message.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 *
 * @internal
 */
final class Frames
{
    private string $buffer = '';
    private int $at = 0;

    public function __construct(private readonly int $maxBytes)
    {
    }

    /** One message as it is sent. */
    public static function write(string $message, Compression $compression): string
    {
        if (Compression::GZIP === $compression) {
            $message = (string) \gzencode($message, 6);

            return "\x01" . \pack('N', \strlen($message)) . $message;
        }

        return "\x00" . \pack('N', \strlen($message)) . $message;
    }

    public function push(string $bytes): void
    {
        $this->buffer = 0 === $this->at ? $this->buffer . $bytes : \substr($this->buffer, $this->at) . $bytes;
        $this->at = 0;
    }

    /** Whether a part of a message is left. */
    public function partial(): bool
    {
        return $this->at < \strlen($this->buffer);
    }

    /** Whether a whole message waits, or one that is refused. */
    public function ready(): bool
    {
        $have = \strlen($this->buffer) - $this->at;

        return $have >= 5 && ($have >= 5 + ($n = $this->length()) || $n > $this->maxBytes || \ord($this->buffer[$this->at]) > 1);
    }

    /**
     * The next message, or null when it has not arrived in full.
     *
     * @param string $encoding value of the header grpc-encoding
     *
     * @throws BrokenFrame
     */
    public function next(string $encoding): ?string
    {
        $have = \strlen($this->buffer) - $this->at;
        if ($have < 5) {
            return null;
        }
        $flag = \ord($this->buffer[$this->at]);
        $n = $this->length();
        if ($flag > 1) {
            throw new BrokenFrame(StatusCode::INTERNAL, 'message begins with flag ' . $flag . ', only 0 and 1 exist');
        }
        if ($n > $this->maxBytes) {
            throw new BrokenFrame(StatusCode::RESOURCE_EXHAUSTED, \sprintf('response message has %d bytes, limit %d', $n, $this->maxBytes));
        }
        if ($have < 5 + $n) {
            return null;
        }
        $message = \substr($this->buffer, $this->at + 5, $n);
        $this->at += 5 + $n;
        if ($this->at === \strlen($this->buffer)) {
            $this->buffer = '';
            $this->at = 0;
        }

        return 0 === $flag ? $message : $this->inflate($message, $encoding);
    }

    private function length(): int
    {
        $b = $this->buffer;
        $i = $this->at;

        return \ord($b[$i + 1]) << 24 | \ord($b[$i + 2]) << 16 | \ord($b[$i + 3]) << 8 | \ord($b[$i + 4]);
    }

    private function inflate(string $message, string $encoding): string
    {
        if ('gzip' !== $encoding) {
            throw new BrokenFrame(StatusCode::INTERNAL, \sprintf('message is compressed with "%s", which was not offered', $encoding));
        }
        if (!\function_exists('gzdecode')) {
            throw new BrokenFrame(StatusCode::INTERNAL, 'message is compressed with gzip, and PHP has no ext-zlib');
        }
        // The limit also bounds what a small message may unfold to. gzdecode warns about anything that is not gzip.
        $plain = @\gzdecode($message, $this->maxBytes + 1);
        if (false === $plain || \strlen($plain) > $this->maxBytes) {
            $isGzip = \strlen($message) >= 18 && \str_starts_with($message, "\x1f\x8b");
            $size = $isGzip ? (int) \unpack('V', $message, \strlen($message) - 4)[1] : 0; // as the sender says it, for the message only
            throw $size > $this->maxBytes
                ? new BrokenFrame(StatusCode::RESOURCE_EXHAUSTED, \sprintf('response message has %d bytes, limit %d', $size, $this->maxBytes))
                : new BrokenFrame(StatusCode::INTERNAL, 'message is marked as gzip and is not');
        }

        return $plain;
    }
}
