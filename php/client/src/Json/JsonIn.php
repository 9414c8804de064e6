<?php

declare(strict_types=1);

namespace Switchyard\Client\Json;

use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\Limits;
use Switchyard\Client\Message\ProtoEnum;

/**
 * Reads scalars from what json_decode made of protobuf's JSON form. $where names the field in errors.
 *
 * @internal called by generated code
 */
final class JsonIn
{
    /** Floats up to here are exact integers; above, json_decode has already rounded. */
    private const EXACT = 9007199254740992.0;

    private function __construct()
    {
    }

    public static function object(mixed $x, string $where): \stdClass
    {
        return $x instanceof \stdClass ? $x : throw DecodeException::expected($where, 'an object', $x);
    }

    /** @return list<mixed> */
    public static function list(mixed $x, string $where): array
    {
        return \is_array($x) ? $x : throw DecodeException::expected($where, 'an array', $x);
    }

    public static function string(mixed $x, string $where): string
    {
        return \is_string($x) ? $x : throw DecodeException::expected($where, 'a string', $x);
    }

    public static function bool(mixed $x, string $where): bool
    {
        return \is_bool($x) ? $x : throw DecodeException::expected($where, 'true or false', $x);
    }

    /** Standard and URL-safe base64, with or without padding. */
    public static function bytes(mixed $x, string $where): string
    {
        if (\is_string($x) && 1 === \preg_match('{^[A-Za-z0-9+/_-]*={0,2}$}D', $x)) {
            $v = \base64_decode(\strtr($x, '-_', '+/'), true);
            if (false !== $v) {
                return $v;
            }
        }
        throw DecodeException::expected($where, 'base64', $x);
    }

    public static function int32(mixed $x, string $where): int
    {
        $v = self::int64($x, $where);

        return $v >= -0x80000000 && $v <= 0x7FFFFFFF ? $v : throw DecodeException::expected($where, 'a 32-bit integer', $x);
    }

    public static function uint32(mixed $x, string $where): int
    {
        $v = self::int64($x, $where);

        return $v >= 0 && $v <= 0xFFFFFFFF ? $v : throw DecodeException::expected($where, 'an unsigned 32-bit integer', $x);
    }

    public static function int64(mixed $x, string $where): int
    {
        if (\is_int($x)) {
            return $x;
        }
        if (\is_string($x) && 1 === \preg_match('/^(-?)(0|[1-9][0-9]{0,18})$/D', $x, $m)) {
            $v = (int) $x;
            if ((string) $v === $x || '-0' === $x) {
                return $v;
            }
            throw DecodeException::expected($where, 'a 64-bit integer', $x);
        }

        return self::integral($x, $where);
    }

    /** Numbers above PHP_INT_MAX become the negative int with the same 64 bits. */
    public static function uint64(mixed $x, string $where): int
    {
        if (\is_string($x) && 1 === \preg_match('/^[1-9][0-9]{18,19}$/D', $x)) {
            // 2^63 = 9223372036 854775808: subtract it in two halves, since PHP integers end just below.
            $high = (int) \substr($x, 0, -9) - 9223372036;
            $low = (int) \substr($x, -9) - 854775808;
            if ($low < 0) {
                --$high;
                $low += 1000000000;
            }
            $above = $high * 1000000000 + $low;
            if (!\is_int($above)) {
                throw DecodeException::expected($where, 'an unsigned 64-bit integer', $x);
            }
            if ($above >= 0) {
                return $above + \PHP_INT_MIN;
            }
        }
        $v = self::int64($x, $where);

        return $v >= 0 ? $v : throw DecodeException::expected($where, 'an unsigned 64-bit integer', $x);
    }

    public static function double(mixed $x, string $where): float
    {
        if (\is_int($x)) {
            return (float) $x;
        }
        if (\is_string($x)) {
            $special = match ($x) {
                'NaN' => \NAN,
                'Infinity' => \INF,
                '-Infinity' => -\INF,
                default => null,
            };
            if (null !== $special) {
                return $special;
            }
            if (1 === \preg_match('/^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/D', $x)) {
                $x = (float) $x;
            }
        }

        return \is_float($x) && \is_finite($x) ? $x : throw DecodeException::expected($where, 'a number', $x);
    }

    public static function float(mixed $x, string $where): float
    {
        $v = self::double($x, $where);
        $narrow = \unpack('g', \pack('g', $v))[1];
        if (\is_infinite($narrow) && \is_finite($v)) {
            throw DecodeException::expected($where, 'a 32-bit float', $x);
        }

        return $narrow;
    }

    /**
     * Null when the name is unknown and may be ignored.
     *
     * @template T of ProtoEnum
     *
     * @param class-string<T> $enum
     *
     * @return T|int|null
     */
    public static function enum(mixed $x, string $enum, JsonOptions $options, string $where): ProtoEnum|int|null
    {
        if (\is_string($x)) {
            $case = $enum::fromProtoName($x);
            if (null === $case && !$options->ignoreUnknown) {
                throw new DecodeException($where . ': no value of ' . $enum::typeName() . ' has the given name');
            }

            return $case;
        }
        $v = self::int32($x, $where);

        return $enum::tryFrom($v) ?? $v;
    }

    public static function boolKey(string $key, string $where): int
    {
        return match ($key) {
            'true' => 1,
            'false' => 0,
            default => throw DecodeException::expected($where, 'the key true or false', $key),
        };
    }

    /**
     * json_decode for protobuf.
     *
     * @throws \JsonException
     */
    public static function decode(string $json): mixed
    {
        // PHP reads -0 as the integer 0; for a float the sign is part of the value. Strings are stepped over.
        if (1 === \preg_match('/-0(?=[\s,\]}]|$)/D', $json)) {
            $json = \preg_replace('/"[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"(*SKIP)(*FAIL)|-0(?=[\s,\]}]|$)/Ds', '-0.0', $json) ?? $json;
        }

        return \json_decode($json, false, Limits::JSON_DEPTH, \JSON_THROW_ON_ERROR);
    }

    public static function unknown(string $message, string|int $field, JsonOptions $options): void
    {
        if (!$options->ignoreUnknown) {
            throw new DecodeException($message . ': no field ' . \substr((string) $field, 0, 100));
        }
    }

    public static function duplicate(string $message, string|int $field): DecodeException
    {
        return new DecodeException($message . ': field or oneof given twice: ' . $field);
    }

    /** Integers written as 1.0 or 1e5, quoted or not. */
    private static function integral(mixed $x, string $where): int
    {
        $v = $x;
        if (\is_string($x) && 1 === \preg_match('/^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/D', $x)) {
            $v = (float) $x;
        }
        if (\is_float($v) && \floor($v) === $v && \abs($v) <= self::EXACT) {
            return (int) $v;
        }
        throw DecodeException::expected($where, 'an integer', $x);
    }
}
