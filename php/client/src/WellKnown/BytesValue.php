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
 * google.protobuf.BytesValue as a message of its own, for RPCs and Any. Fields of this type are
 * plain "?string" properties, which the static methods serve.
 */
final class BytesValue implements Message
{
    use Codec;

    public function __construct(
        public readonly string $value = '',
        public readonly string $unknownFields = '',
    ) {
    }

    public static function typeName(): string
    {
        return 'google.protobuf.BytesValue';
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
        return new self(self::fromJsonValue($json, 'google.protobuf.BytesValue'));
    }

    public function writeJson(JsonOptions $options): string
    {
        return self::jsonOf($this->value);
    }

    /** @internal */
    public static function bytesOf(string $v): string
    {
        return '' === $v ? '' : "\x0a" . Wire::bytes($v);
    }

    /** @internal */
    public static function valueIn(string $b, int $i, int $end): string
    {
        return self::parse($b, $i, $end)[0];
    }

    /** @internal */
    public static function jsonOf(string $v): string
    {
        return JsonOut::bytes($v);
    }

    /** @internal */
    public static function fromJsonValue(mixed $x, string $where): string
    {
        return JsonIn::bytes($x, $where);
    }

    /** @return array{string, string} */
    private static function parse(string $b, int $i, int $end): array
    {
        $v = '';
        $unknown = '';
        while ($i < $end) {
            $start = $i;
            $tag = Wire::readVarint($b, $i, $end);
            if (0x0A === $tag) {
                $v = Wire::readBytes($b, $i, $end);
            } else {
                $i = Wire::skip($b, $i, $end, $tag);
                $unknown .= \substr($b, $start, $i - $start);
            }
        }

        return [$v, $unknown];
    }
}
