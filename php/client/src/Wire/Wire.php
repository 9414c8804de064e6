<?php

declare(strict_types=1);

namespace Switchyard\Client\Wire;

use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\EncodeException;
use Switchyard\Client\Message\Limits;

/**
 * The slow paths of the binary codec. Generated code handles one-byte varints in line
 * and comes here for everything else.
 *
 * PHP has no unsigned integers: a uint64 or fixed64 above PHP_INT_MAX is the negative
 * number with the same 64 bits.
 *
 * @internal called by generated code
 */
final class Wire
{
    private static ?bool $mbstring = null;

    private function __construct()
    {
    }

    /** Whether a string is UTF-8. mbstring needs a third of PCRE's time; its polyfill, in PHP, would need more. */
    public static function utf8(string $v): bool
    {
        return (self::$mbstring ??= \extension_loaded('mbstring')) ? \mb_check_encoding($v, 'UTF-8') : 1 === \preg_match('//u', $v);
    }

    /** @throws DecodeException when a string that was read is not UTF-8 */
    public static function checkText(string $v, string $where): bool
    {
        return self::utf8($v) ?: throw DecodeException::utf8($where);
    }

    /** Ten bytes for a negative number, as int32, int64 and enums require. */
    public static function varint(int $v): string
    {
        if ($v >= 0 && $v < 0x4000) {
            return $v < 0x80 ? \chr($v) : \chr($v & 0x7F | 0x80) . \chr($v >> 7);
        }
        if ($v > 0xFFFFFFF && $v < 0x800000000) { // five bytes: seconds and nanoseconds of nearly every time
            return \pack('C5', $v | 0x80, $v >> 7 | 0x80, $v >> 14 | 0x80, $v >> 21 | 0x80, $v >> 28);
        }
        $b = '';
        while ($v < 0 || $v > 0x7F) {
            $b .= \chr($v & 0x7F | 0x80);
            $v = $v >> 7 & 0x01FFFFFFFFFFFFFF;
        }

        return $b . \chr($v);
    }

    public static function int32(int $v): string
    {
        if ($v < -0x80000000 || $v > 0x7FFFFFFF) {
            throw EncodeException::range('int32', $v);
        }

        return self::varint($v);
    }

    public static function uint32(int $v): string
    {
        if ($v < 0 || $v > 0xFFFFFFFF) {
            throw EncodeException::range('uint32', $v);
        }

        return self::varint($v);
    }

    public static function sint32(int $v): string
    {
        if ($v < -0x80000000 || $v > 0x7FFFFFFF) {
            throw EncodeException::range('sint32', $v);
        }

        return self::varint($v << 1 ^ $v >> 63);
    }

    public static function sint64(int $v): string
    {
        return self::varint($v << 1 ^ $v >> 63);
    }

    public static function fixed32(int $v): string
    {
        if ($v < 0 || $v > 0xFFFFFFFF) {
            throw EncodeException::range('fixed32', $v);
        }

        return \pack('V', $v);
    }

    public static function sfixed32(int $v): string
    {
        if ($v < -0x80000000 || $v > 0x7FFFFFFF) {
            throw EncodeException::range('sfixed32', $v);
        }

        return \pack('V', $v);
    }

    /** Length prefix and bytes. */
    public static function bytes(string $v): string
    {
        $n = \strlen($v);

        return ($n < 0x80 ? \chr($n) : self::varint($n)) . $v;
    }

    /** Length prefix and bytes of a string that must be UTF-8. */
    public static function text(string $v, string $where): string
    {
        if (!self::utf8($v)) {
            throw EncodeException::utf8($where);
        }
        $n = \strlen($v);

        return ($n < 0x80 ? \chr($n) : self::varint($n)) . $v;
    }

    /** Reads a varint of up to 64 bits at $i and moves $i behind it. */
    public static function readVarint(string $b, int &$i, int $end): int
    {
        $p = $i;
        $v = $shift = 0;
        while ($p < $end) {
            if (($c = \ord($b[$p++])) < 0x80) {
                if (63 === $shift && $c > 1) {
                    break;
                }
                $i = $p;

                return $v | $c << $shift;
            }
            $v |= ($c & 0x7F) << $shift;
            if (($shift += 7) > 63) {
                break;
            }
        }
        throw new DecodeException($shift < 63 ? 'varint: truncated' : 'varint: more than 64 bits');
    }

    /** Reads a length and checks that as many bytes follow. */
    public static function readLength(string $b, int &$i, int $end, string $where = 'length'): int
    {
        if ($i + 1 < $end && ($n = \ord($b[$i])) > 0x7F && ($c = \ord($b[$i + 1])) < 0x80) {
            $n = $n & 0x7F | $c << 7;
            $i += 2;
        } else {
            $n = self::readVarint($b, $i, $end);
        }
        if ($n < 0 || $n > $end - $i) {
            throw DecodeException::truncated($where);
        }

        return $n;
    }

    public static function readInt32(string $b, int &$i, int $end): int
    {
        $v = self::readVarint($b, $i, $end);

        return ($v & 0x7FFFFFFF) - ($v & 0x80000000);
    }

    public static function readDouble(string $b, int &$i, int $end): float
    {
        if (8 > $end - $i) {
            throw DecodeException::truncated('double');
        }
        $i += 8;

        return \unpack('e', $b, $i - 8)[1];
    }

    public static function readFloat(string $b, int &$i, int $end): float
    {
        if (4 > $end - $i) {
            throw DecodeException::truncated('float');
        }
        $i += 4;

        return \unpack('g', $b, $i - 4)[1];
    }

    public static function readBytes(string $b, int &$i, int $end): string
    {
        $n = self::readLength($b, $i, $end);
        $i += $n;

        return \substr($b, $i - $n, $n);
    }

    public static function readText(string $b, int &$i, int $end, string $where): string
    {
        $v = self::readBytes($b, $i, $end);
        if (!self::utf8($v)) {
            throw DecodeException::utf8($where);
        }

        return $v;
    }

    /**
     * Returns the position behind the field whose tag was just read.
     *
     * @param int $i     first byte behind the tag
     * @param int $depth how many groups may be nested
     */
    public static function skip(string $b, int $i, int $end, int $tag, int $depth = Limits::DEPTH): int
    {
        if ($tag < 8 || $tag > 0xFFFFFFFF) {
            throw new DecodeException('tag: field number out of range');
        }
        switch ($tag & 7) {
            case 0:
                self::readVarint($b, $i, $end);

                return $i;
            case 1:
                $i += 8;
                break;
            case 2:
                $n = self::readLength($b, $i, $end);
                $i += $n;
                break;
            case 3:
                return self::skipGroup($b, $i, $end, $tag, $depth);
            case 5:
                $i += 4;
                break;
            default:
                throw new DecodeException('tag: wire type ' . ($tag & 7) . ' where none may be');
        }
        if ($i > $end) {
            throw DecodeException::truncated('unknown field');
        }

        return $i;
    }

    /**
     * Adds bytes $i to $i + $n of $b to a message that came before, in bytes $from to $to or, from the third
     * time on, already in $raw. Reading the concatenation is the merge that protobuf asks for, provided that
     * each part is well-formed on its own; what is nested is checked when the concatenation is read.
     */
    public static function merge(?string &$raw, string $b, int $from, int $to, int $i, int $n): void
    {
        if (null === $raw) {
            self::checkFields($b, $from, $to);
            $raw = \substr($b, $from, $to - $from);
        }
        self::checkFields($b, $i, $i + $n);
        $raw .= \substr($b, $i, $n);
    }

    private static function checkFields(string $b, int $i, int $end): void
    {
        while ($i < $end) {
            $tag = self::readVarint($b, $i, $end);
            $i = self::skip($b, $i, $end, $tag);
        }
    }

    private static function skipGroup(string $b, int $i, int $end, int $tag, int $depth): int
    {
        if ($depth <= 0) {
            throw DecodeException::depth('group');
        }
        while ($i < $end) {
            $t = self::readVarint($b, $i, $end);
            if ($t === $tag + 1) {
                return $i;
            }
            $i = self::skip($b, $i, $end, $t, $depth - 1);
        }
        throw DecodeException::truncated('group');
    }
}
