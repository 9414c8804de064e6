<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

use Switchyard\Client\Json\JsonIn;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Json\JsonOut;
use Switchyard\Client\Message\Codec;
use Switchyard\Client\Message\Message;
use Switchyard\Client\Wire\Wire;

/**
 * google.protobuf.DoubleValue as a message of its own, for RPCs and Any. Fields of this type are
 * plain "?float" properties, which the static methods serve.
 */
final class DoubleValue implements Message
{
    use Codec;

    public function __construct(
        public readonly float $value = 0.0,
        public readonly string $unknownFields = '',
    ) {
    }

    public static function typeName(): string
    {
        return 'google.protobuf.DoubleValue';
    }

    public function encode(): string
    {
        return self::bytesOf($this->value) . $this->unknownFields;
    }

    public static function read(string $b, int $i, int $end, int $depth): static
    {
        return new self(...self::parse($b, $i, $end));
    }

    public static function readJson(mixed $json, JsonOptions $options, int $depth): static
    {
        return new self(self::fromJsonValue($json, 'google.protobuf.DoubleValue'));
    }

    public function writeJson(JsonOptions $options): string
    {
        return self::jsonOf($this->value);
    }

    /** @internal */
    public static function bytesOf(float $v): string
    {
        $bytes = \pack('e', $v);

        return "\0\0\0\0\0\0\0\0" === $bytes ? '' : "\x09" . $bytes;
    }

    /** @internal */
    public static function valueIn(string $b, int $i, int $end): float
    {
        return self::parse($b, $i, $end)[0];
    }

    /** @internal */
    public static function jsonOf(float $v): string
    {
        return JsonOut::double($v);
    }

    /** @internal */
    public static function fromJsonValue(mixed $x, string $where): float
    {
        return JsonIn::double($x, $where);
    }

    /** @return array{float, string} */
    private static function parse(string $b, int $i, int $end): array
    {
        $v = 0.0;
        $unknown = '';
        while ($i < $end) {
            $start = $i;
            $tag = Wire::readVarint($b, $i, $end);
            if (0x09 === $tag) {
                $v = Wire::readDouble($b, $i, $end);
            } else {
                $i = Wire::skip($b, $i, $end, $tag);
                $unknown .= \substr($b, $start, $i - $start);
            }
        }

        return [$v, $unknown];
    }
}
