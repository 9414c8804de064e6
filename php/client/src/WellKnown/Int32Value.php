<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

use Switchyard\Client\Json\JsonIn;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Message\Codec;
use Switchyard\Client\Message\Message;
use Switchyard\Client\Wire\Wire;

/**
 * google.protobuf.Int32Value as a message of its own, for RPCs and Any. Fields of this type are
 * plain "?int" properties, which the static methods serve.
 */
final class Int32Value implements Message
{
    use Codec;

    public function __construct(
        public readonly int $value = 0,
        public readonly string $unknownFields = '',
    ) {
    }

    public static function typeName(): string
    {
        return 'google.protobuf.Int32Value';
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
        return new self(self::fromJsonValue($json, 'google.protobuf.Int32Value'));
    }

    public function writeJson(JsonOptions $options): string
    {
        return self::jsonOf($this->value);
    }

    /** @internal */
    public static function bytesOf(int $v): string
    {
        return 0 === $v ? '' : "\x08" . Wire::int32($v);
    }

    /** @internal */
    public static function valueIn(string $b, int $i, int $end): int
    {
        return self::parse($b, $i, $end)[0];
    }

    /** @internal */
    public static function jsonOf(int $v): string
    {
        return (string) $v;
    }

    /** @internal */
    public static function fromJsonValue(mixed $x, string $where): int
    {
        return JsonIn::int32($x, $where);
    }

    /** @return array{int, string} */
    private static function parse(string $b, int $i, int $end): array
    {
        $v = 0;
        $unknown = '';
        while ($i < $end) {
            $start = $i;
            $tag = Wire::readVarint($b, $i, $end);
            if (0x08 === $tag) {
                $v = Wire::readInt32($b, $i, $end);
            } else {
                $i = Wire::skip($b, $i, $end, $tag);
                $unknown .= \substr($b, $start, $i - $start);
            }
        }

        return [$v, $unknown];
    }
}
