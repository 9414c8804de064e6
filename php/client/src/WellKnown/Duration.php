<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

use Switchyard\Client\Json\JsonIn;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Message\Codec;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\EncodeException;
use Switchyard\Client\Message\Message;
use Switchyard\Client\Wire\Wire;

/**
 * google.protobuf.Duration: a signed span of up to 10,000 years in nanoseconds. \DateInterval
 * is not used because it has months and no nanoseconds.
 */
final class Duration implements Message
{
    use Codec;

    private const MAX = 315576000000;

    /** @param int $nanos -999999999 to 999999999, with the sign of $seconds */
    public function __construct(
        public readonly int $seconds = 0,
        public readonly int $nanos = 0,
        public readonly string $unknownFields = '',
    ) {
    }

    public static function ofMillis(int $millis): self
    {
        return new self(\intdiv($millis, 1000), $millis % 1000 * 1000000);
    }

    public static function ofSeconds(float $seconds): self
    {
        $whole = (int) $seconds;

        return new self($whole, (int) \round(($seconds - $whole) * 1e9));
    }

    public function toSeconds(): float
    {
        return $this->seconds + $this->nanos / 1e9;
    }

    public function toMillis(): int
    {
        return $this->seconds * 1000 + \intdiv($this->nanos, 1000000);
    }

    public static function typeName(): string
    {
        return 'google.protobuf.Duration';
    }

    public function encode(): string
    {
        return self::pair($this->seconds, $this->nanos) . $this->unknownFields;
    }

    public static function read(string $b, int $i, int $end, int $depth): static
    {
        [$seconds, $nanos, $unknown] = self::readPair($b, $i, $end);

        return new self($seconds, $nanos, $unknown);
    }

    public static function readJson(mixed $json, JsonOptions $options, int $depth): static
    {
        $text = JsonIn::string($json, 'google.protobuf.Duration');
        if (1 !== \preg_match('/^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/D', $text, $m) || (int) $m[2] > self::MAX) {
            throw DecodeException::expected('google.protobuf.Duration', 'seconds such as "1.5s"', $json);
        }
        $sign = '-' === $m[1] ? -1 : 1;

        return new self($sign * (int) $m[2], $sign * (int) \str_pad($m[3] ?? '', 9, '0'));
    }

    public function writeJson(JsonOptions $options): string
    {
        $mixed = ($this->seconds > 0 && $this->nanos < 0) || ($this->seconds < 0 && $this->nanos > 0);
        if ($mixed || \abs($this->seconds) > self::MAX || \abs($this->nanos) > 999999999) {
            throw new EncodeException('google.protobuf.Duration: more than 10,000 years, or signs that differ');
        }
        $sign = $this->seconds < 0 || $this->nanos < 0 ? '-' : '';

        return '"' . $sign . \abs($this->seconds) . self::fraction(\abs($this->nanos)) . 's"';
    }

    /** @internal fields 1 (int64) and 2 (int32), as Timestamp and Duration have them */
    public static function pair(int $seconds, int $nanos): string
    {
        if ($seconds > 0xFFFFFFF && $seconds < 0x800000000 && $nanos > 0xFFFFFFF && $nanos < 0x80000000) {
            // Three quarters of the times from 1978 to 3058: five bytes each, written in one call.
            return \pack(
                'C12',
                0x08, $seconds | 0x80, $seconds >> 7 | 0x80, $seconds >> 14 | 0x80, $seconds >> 21 | 0x80, $seconds >> 28,
                0x10, $nanos | 0x80, $nanos >> 7 | 0x80, $nanos >> 14 | 0x80, $nanos >> 21 | 0x80, $nanos >> 28,
            );
        }

        return (0 === $seconds ? '' : "\x08" . Wire::varint($seconds)) . (0 === $nanos ? '' : "\x10" . Wire::int32($nanos));
    }

    /**
     * @internal
     *
     * @return array{int, int, string} seconds, nanos, unknown fields
     */
    public static function readPair(string $b, int $i, int $end): array
    {
        $seconds = $nanos = 0;
        $unknown = '';
        while ($i < $end) {
            $start = $i;
            if (($tag = \ord($b[$i++])) > 0x7F) {
                $i = $start;
                $tag = Wire::readVarint($b, $i, $end);
            }
            if (0x08 !== $tag && 0x10 !== $tag) {
                $i = Wire::skip($b, $i, $end, $tag);
                $unknown .= \substr($b, $start, $i - $start);
                continue;
            }
            // Wire::readVarint() in line: nearly every message has a time.
            $v = $shift = 0;
            do {
                if ($i >= $end || $shift > 63) {
                    throw DecodeException::truncated('google.protobuf.Timestamp or Duration');
                }
                $c = \ord($b[$i++]);
                $v |= ($c & 0x7F) << $shift;
                $shift += 7;
            } while ($c > 0x7F);
            if ($shift > 63 && $c > 1) {
                throw new DecodeException('varint: more than 64 bits');
            }
            if (0x08 === $tag) {
                $seconds = $v;
            } else {
                $nanos = ($v & 0x7FFFFFFF) - ($v & 0x80000000);
            }
        }

        return [$seconds, $nanos, $unknown];
    }

    /** @internal none, three, six or nine digits */
    public static function fraction(int $nanos): string
    {
        if (0 === $nanos) {
            return '';
        }
        $digits = \sprintf('%09d', $nanos);
        if ('000000' === \substr($digits, 3)) {
            return '.' . \substr($digits, 0, 3);
        }

        return '.' . ('000' === \substr($digits, 6) ? \substr($digits, 0, 6) : $digits);
    }
}
