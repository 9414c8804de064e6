<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

use Switchyard\Client\Json\JsonIn;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Json\JsonOut;
use Switchyard\Client\Message\Codec;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\EncodeException;
use Switchyard\Client\Message\Message;
use Switchyard\Client\Wire\Wire;

/** google.protobuf.Value: any JSON value. */
final class Value implements Message
{
    use Codec;

    /**
     * @param bool $isSet false for a message of this type without content, which has no JSON form
     */
    public function __construct(
        public readonly null|bool|float|string|Struct|ListValue $value = null,
        public readonly bool $isSet = true,
        public readonly string $unknownFields = '',
    ) {
    }

    /** From a plain PHP value, see Struct::of(); an empty array is a list, an empty object (object) []. */
    public static function of(mixed $v): self
    {
        return match (true) {
            $v instanceof self => $v,
            \is_int($v) => new self((float) $v),
            null === $v, \is_bool($v), \is_float($v), \is_string($v), $v instanceof Struct, $v instanceof ListValue => new self($v),
            \is_array($v) => new self(\array_is_list($v) ? ListValue::of($v) : Struct::of($v)),
            $v instanceof \stdClass => new self(Struct::of((array) $v)),
            default => throw new EncodeException('google.protobuf.Value: cannot hold ' . \get_debug_type($v)),
        };
    }

    /** @return null|bool|float|string|array<mixed> */
    public function toPhp(): null|bool|float|string|array
    {
        return $this->value instanceof Struct || $this->value instanceof ListValue ? $this->value->toArray() : $this->value;
    }

    public static function typeName(): string
    {
        return 'google.protobuf.Value';
    }

    public function encode(): string
    {
        $v = $this->value;

        return match (true) {
            !$this->isSet => '',
            null === $v => "\x08\x00",
            \is_float($v) => "\x11" . \pack('e', $v),
            \is_string($v) => "\x1a" . Wire::text($v, 'google.protobuf.Value.string_value'),
            \is_bool($v) => $v ? "\x20\x01" : "\x20\x00",
            $v instanceof Struct => "\x2a" . Wire::bytes($v->encode()),
            $v instanceof ListValue => "\x32" . Wire::bytes($v->encode()),
        } . $this->unknownFields;
    }

    public static function read(string $b, int $i, int $end, int $depth): static
    {
        if ($depth < 0) {
            throw DecodeException::depth('google.protobuf.Value');
        }
        $v = $raw = null;
        $kind = $from = $to = 0;
        $unknown = '';
        while ($i < $end) {
            $start = $i;
            $tag = Wire::readVarint($b, $i, $end);
            switch ($tag) {
                case 0x08:
                    Wire::readVarint($b, $i, $end);
                    $v = null;
                    break;
                case 0x11:
                    $v = Wire::readDouble($b, $i, $end);
                    break;
                case 0x1A:
                    $v = Wire::readText($b, $i, $end, 'google.protobuf.Value.string_value');
                    break;
                case 0x20:
                    $v = 0 !== Wire::readVarint($b, $i, $end);
                    break;
                case 0x2A:
                case 0x32:
                    $n = Wire::readLength($b, $i, $end);
                    if ($kind === $tag) {
                        Wire::merge($raw, $b, $from, $to, $i, $n);
                    } else {
                        self::content($kind, $b, $from, $to, $raw, $depth);
                        $kind = $tag;
                        $from = $i;
                        $to = $i + $n;
                        $raw = null;
                    }
                    $i += $n;
                    continue 2;
                default:
                    $i = Wire::skip($b, $i, $end, $tag);
                    $unknown .= \substr($b, $start, $i - $start);
                    continue 2;
            }
            // A struct or list that is overwritten does not count, but malformed bytes are an error all the same.
            self::content($kind, $b, $from, $to, $raw, $depth);
            $kind = $tag;
        }

        return new self(self::content($kind, $b, $from, $to, $raw, $depth) ?? $v, 0 !== $kind, $unknown);
    }

    public static function readJson(mixed $json, JsonOptions $options, int $depth): static
    {
        if ($depth < 0) {
            throw DecodeException::depth('google.protobuf.Value');
        }

        return new self(match (true) {
            null === $json, \is_bool($json), \is_string($json) => $json,
            \is_int($json), \is_float($json) => JsonIn::double($json, 'google.protobuf.Value'),
            \is_array($json) => ListValue::readJson($json, $options, $depth - 1),
            default => Struct::readJson($json, $options, $depth - 1),
        });
    }

    public function writeJson(JsonOptions $options): string
    {
        $v = $this->value;
        if (!$this->isSet || (\is_float($v) && !\is_finite($v))) {
            throw new EncodeException('google.protobuf.Value: NaN, Infinity and an unset value have no JSON form');
        }

        return match (true) {
            null === $v => 'null',
            \is_bool($v) => JsonOut::bool($v),
            \is_float($v) => JsonOut::double($v),
            \is_string($v) => JsonOut::string($v, 'google.protobuf.Value'),
            default => $v->writeJson($options),
        };
    }

    private static function content(int $kind, string $b, int $from, int $to, ?string $raw, int $depth): null|Struct|ListValue
    {
        if (null !== $raw) {
            $b = $raw;
            $from = 0;
            $to = \strlen($raw);
        }

        return match ($kind) {
            0x2A => Struct::read($b, $from, $to, $depth - 1),
            0x32 => ListValue::read($b, $from, $to, $depth - 1),
            default => null,
        };
    }
}
