<?php

declare(strict_types=1);

namespace Switchyard\Client\Json;

use Switchyard\Client\Message\EncodeException;
use Switchyard\Client\Message\ProtoEnum;

/**
 * Writes scalars in protobuf's JSON form.
 *
 * @internal called by generated code
 */
final class JsonOut
{
    private function __construct()
    {
    }

    public static function string(string $v, string $where): string
    {
        $json = \json_encode($v, \JSON_UNESCAPED_UNICODE | \JSON_UNESCAPED_SLASHES);

        return false === $json ? throw EncodeException::utf8($where) : $json;
    }

    public static function bool(bool $v): string
    {
        return $v ? 'true' : 'false';
    }

    public static function bytes(string $v): string
    {
        return '"' . \base64_encode($v) . '"';
    }

    public static function int64(int $v): string
    {
        return '"' . $v . '"';
    }

    public static function uint64(int $v): string
    {
        return '"' . \sprintf('%u', $v) . '"';
    }

    public static function double(float $v): string
    {
        if (\is_finite($v)) {
            return \json_encode($v, \JSON_THROW_ON_ERROR);
        }

        return \is_nan($v) ? '"NaN"' : ($v > 0 ? '"Infinity"' : '"-Infinity"');
    }

    /** The shortest decimal number that reads back as the same 32-bit float. */
    public static function float(float $v): string
    {
        $wire = \pack('g', $v);
        $v = \unpack('g', $wire)[1];
        if (!\is_finite($v) || 0.0 === $v) {
            return self::double($v); // sprintf() drops the sign of -0.0
        }
        for ($digits = 6; $digits < 9; ++$digits) {
            $short = (float) \sprintf('%.' . ($digits - 1) . 'e', $v);
            if (\pack('g', $short) === $wire) {
                return self::double($short);
            }
        }

        return self::double((float) \sprintf('%.8e', $v));
    }

    public static function enum(ProtoEnum|int $v, JsonOptions $options): string
    {
        if (\is_int($v)) {
            return (string) $v;
        }

        return $options->enumsAsNumbers ? (string) $v->value : '"' . $v->protoName() . '"';
    }
}
