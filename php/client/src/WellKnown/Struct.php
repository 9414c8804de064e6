<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

use Switchyard\Client\Json\JsonIn;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Json\JsonOut;
use Switchyard\Client\Message\Codec;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\Message;
use Switchyard\Client\Wire\Wire;

/** google.protobuf.Struct: a JSON object without a schema. */
final class Struct implements Message
{
    use Codec;

    /** @param array<string, Value> $fields */
    public function __construct(
        public readonly array $fields = [],
        public readonly string $unknownFields = '',
    ) {
    }

    /**
     * From plain PHP values: null, bool, int, float, string, lists, and arrays or objects with string keys.
     *
     * @param array<string, mixed> $values
     */
    public static function of(array $values): self
    {
        return new self(\array_map(Value::of(...), $values));
    }

    /** @return array<string, mixed> objects as arrays, numbers as float */
    public function toArray(): array
    {
        return \array_map(static fn (Value $v): mixed => $v->toPhp(), $this->fields);
    }

    public static function typeName(): string
    {
        return 'google.protobuf.Struct';
    }

    public function encode(): string
    {
        $b = '';
        foreach ($this->fields as $key => $value) {
            $entry = "\x0a" . Wire::text((string) $key, 'google.protobuf.Struct.fields') . "\x12" . Wire::bytes($value->encode());
            $b .= "\x0a" . Wire::bytes($entry);
        }

        return $b . $this->unknownFields;
    }

    public static function read(string $b, int $i, int $end, int $depth): static
    {
        if ($depth < 0) {
            throw DecodeException::depth('google.protobuf.Struct');
        }
        $fields = [];
        $unknown = '';
        while ($i < $end) {
            $start = $i;
            $tag = Wire::readVarint($b, $i, $end);
            if (0x0A === $tag) {
                $n = Wire::readLength($b, $i, $end);
                [$key, $value] = self::entry($b, $i, $i + $n, $depth);
                $fields[$key] = $value;
                $i += $n;
            } else {
                $i = Wire::skip($b, $i, $end, $tag);
                $unknown .= \substr($b, $start, $i - $start);
            }
        }

        return new self($fields, $unknown);
    }

    public static function readJson(mixed $json, JsonOptions $options, int $depth): static
    {
        if ($depth < 0) {
            throw DecodeException::depth('google.protobuf.Struct');
        }
        $fields = [];
        foreach (JsonIn::object($json, 'google.protobuf.Struct') as $key => $value) {
            $fields[$key] = Value::readJson($value, $options, $depth - 1);
        }

        return new self($fields);
    }

    public function writeJson(JsonOptions $options): string
    {
        $parts = [];
        foreach ($this->fields as $key => $value) {
            $parts[] = JsonOut::string((string) $key, 'google.protobuf.Struct.fields') . ':' . $value->writeJson($options);
        }

        return '{' . \implode(',', $parts) . '}';
    }

    /** @return array{string, Value} */
    private static function entry(string $b, int $i, int $end, int $depth): array
    {
        $key = '';
        $from = $to = -1;
        $raw = null;
        while ($i < $end) {
            $tag = Wire::readVarint($b, $i, $end);
            if (0x0A === $tag) {
                $key = Wire::readText($b, $i, $end, 'google.protobuf.Struct.fields');
            } elseif (0x12 === $tag) {
                $n = Wire::readLength($b, $i, $end);
                if ($from < 0) {
                    $from = $i;
                    $to = $i + $n;
                } else {
                    Wire::merge($raw, $b, $from, $to, $i, $n);
                }
                $i += $n;
            } else {
                $i = Wire::skip($b, $i, $end, $tag);
            }
        }

        return [$key, null === $raw ? Value::read($b, $from, $to, $depth - 1) : Value::read($raw, 0, \strlen($raw), $depth - 1)];
    }
}
