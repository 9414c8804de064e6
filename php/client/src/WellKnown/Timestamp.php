<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

use Switchyard\Client\Json\JsonIn;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Message\Codec;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\EncodeException;
use Switchyard\Client\Message\Message;

/**
 * google.protobuf.Timestamp as a message of its own, for RPCs and Any. Fields of this type
 * are plain "?\DateTimeImmutable" properties in UTC, which the static methods serve.
 */
final class Timestamp implements Message
{
    use Codec;

    /** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z. */
    private const MIN = -62135596800;
    private const MAX = 253402300799;

    private static ?\DateTimeImmutable $epoch = null;

    /**
     * @param int $seconds since 1970-01-01T00:00:00Z
     * @param int $nanos   0 to 999999999, counted forward also before 1970
     */
    public function __construct(
        public readonly int $seconds = 0,
        public readonly int $nanos = 0,
        public readonly string $unknownFields = '',
    ) {
    }

    public static function ofDateTime(\DateTimeInterface $time): self
    {
        return new self($time->getTimestamp(), $time instanceof NanoTime ? $time->nanos() : 1000 * (int) $time->format('u'));
    }

    /** @throws DecodeException outside the years 1 to 9999 */
    public function toDateTime(): \DateTimeImmutable
    {
        return self::time($this->seconds, $this->nanos);
    }

    public static function typeName(): string
    {
        return 'google.protobuf.Timestamp';
    }

    public function encode(): string
    {
        return Duration::pair($this->seconds, $this->nanos) . $this->unknownFields;
    }

    public static function read(string $b, int $i, int $end, int $depth): static
    {
        [$seconds, $nanos, $unknown] = Duration::readPair($b, $i, $end);

        return new self($seconds, $nanos, $unknown);
    }

    public static function readJson(mixed $json, JsonOptions $options, int $depth): static
    {
        return self::ofDateTime(self::fromJsonValue($json, 'google.protobuf.Timestamp'));
    }

    public function writeJson(JsonOptions $options): string
    {
        return self::format($this->seconds, $this->nanos);
    }

    /** @internal */
    public static function bytesOf(\DateTimeImmutable $v): string
    {
        return Duration::pair($v->getTimestamp(), $v instanceof NanoTime ? $v->nanos() : 1000 * (int) $v->format('u'));
    }

    /** @internal */
    public static function valueIn(string $b, int $i, int $end): \DateTimeImmutable
    {
        if (12 === $end - $i && "\x08" === $b[$i] && "\x10" === $b[$i + 6]) {
            // Nearly every time: two varints of five bytes, which four numbers hold. Taking them apart is half the work of two loops.
            ['s' => $s, 't' => $t, 'n' => $n, 'u' => $u] = \unpack('x/Vs/Ct/x/Vn/Cu', $b, $i);
            if (0x80808080 === ($s & $n & 0x80808080) && $t < 0x80 && $u < 8) {
                return self::time(
                    $s & 0x7F | $s >> 1 & 0x3F80 | $s >> 2 & 0x1FC000 | $s >> 3 & 0xFE00000 | $t << 28,
                    $n & 0x7F | $n >> 1 & 0x3F80 | $n >> 2 & 0x1FC000 | $n >> 3 & 0xFE00000 | $u << 28,
                );
            }
        }
        [$seconds, $nanos] = Duration::readPair($b, $i, $end);

        return self::time($seconds, $nanos);
    }

    /** @internal */
    public static function jsonOf(\DateTimeImmutable $v): string
    {
        return self::format($v->getTimestamp(), $v instanceof NanoTime ? $v->nanos() : 1000 * (int) $v->format('u'));
    }

    /** @internal RFC 3339 with any offset and up to nine digits of a second */
    public static function fromJsonValue(mixed $x, string $where): \DateTimeImmutable
    {
        $text = JsonIn::string($x, $where);
        $pattern = '/^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/D';
        if (1 !== \preg_match($pattern, $text, $m) || !\checkdate((int) $m[2], (int) $m[3], (int) $m[1])) {
            throw DecodeException::expected($where, 'an RFC 3339 time', $x);
        }
        $seconds = \gmmktime((int) $m[4], (int) $m[5], (int) $m[6], (int) $m[2], (int) $m[3], 2000)
            + 86400 * self::days((int) $m[1], (int) $m[2]);
        if (isset($m[8])) {
            $offset = 3600 * (int) $m[9] + 60 * (int) $m[10];
            $seconds -= '-' === $m[8] ? -$offset : $offset;
        }

        return self::time($seconds, (int) \str_pad($m[7] ?? '', 9, '0'));
    }

    private static function time(int $seconds, int $nanos): \DateTimeImmutable
    {
        if ($seconds < self::MIN || $seconds > self::MAX || $nanos < 0 || $nanos > 999999999) {
            throw new DecodeException('google.protobuf.Timestamp: outside the years 1 to 9999');
        }
        if (0 !== $nanos % 1000) {
            return NanoTime::of($seconds, $nanos);
        }
        self::$epoch ??= new \DateTimeImmutable('@0');

        // Seconds and microseconds past midnight of the epoch: half the time of parsing "@seconds.micros".
        return self::$epoch->setTime(0, 0, $seconds, \intdiv($nanos, 1000));
    }

    private static function format(int $seconds, int $nanos): string
    {
        if ($seconds < self::MIN || $seconds > self::MAX || $nanos < 0 || $nanos > 999999999) {
            throw new EncodeException('google.protobuf.Timestamp: outside the years 1 to 9999');
        }

        return '"' . \gmdate('Y-m-d\TH:i:s', $seconds) . Duration::fraction($nanos) . 'Z"';
    }

    /** Days between the same date in 2000 and in $year; gmmktime() reads years below 100 as 19xx or 20xx. */
    private static function days(int $year, int $month): int
    {
        // 2000 is itself a leap year: 29 February exists there, and what counts is how many lie in between.
        $leaps = static fn (int $y): int => \intdiv($y, 4) - \intdiv($y, 100) + \intdiv($y, 400);
        $before = $month > 2 ? 0 : 1;

        return 365 * ($year - 2000) + $leaps($year - $before) - $leaps(2000 - $before);
    }
}
