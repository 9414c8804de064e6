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
 * google.protobuf.BoolValue as a message of its own, for RPCs and Any. Fields of this type are
 * plain "?bool" properties, which the static methods serve.
 */
final class BoolValue implements Message
{
    use Codec;

    public function __construct(
        public readonly bool $value = false,
        public readonly string $unknownFields = '',
    ) {
    }

    public static function typeName(): string
    {
        return 'google.protobuf.BoolValue';
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
        return new self(self::fromJsonValue($json, 'google.protobuf.BoolValue'));
    }

    public function writeJson(JsonOptions $options): string
    {
        return self::jsonOf($this->value);
    }

    /** @internal */
    public static function bytesOf(bool $v): string
    {
        return $v ? "\x08\x01" : '';
    }

    /** @internal */
    public static function valueIn(string $b, int $i, int $end): bool
    {
        return self::parse($b, $i, $end)[0];
    }

    /** @internal */
    public static function jsonOf(bool $v): string
    {
        return JsonOut::bool($v);
    }

    /** @internal */
    public static function fromJsonValue(mixed $x, string $where): bool
    {
        return JsonIn::bool($x, $where);
    }

    /** @return array{bool, string} */
    private static function parse(string $b, int $i, int $end): array
    {
        $v = false;
        $unknown = '';
        while ($i < $end) {
            $start = $i;
            $tag = Wire::readVarint($b, $i, $end);
            if (0x08 === $tag) {
                $v = 0 !== Wire::readVarint($b, $i, $end);
            } else {
                $i = Wire::skip($b, $i, $end, $tag);
                $unknown .= \substr($b, $start, $i - $start);
            }
        }

        return [$v, $unknown];
    }
}
