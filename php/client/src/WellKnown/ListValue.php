<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

use Switchyard\Client\Json\JsonIn;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Message\Codec;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\Message;
use Switchyard\Client\Wire\Wire;

/** google.protobuf.ListValue: a JSON array without a schema. */
final class ListValue implements Message
{
    use Codec;

    /** @param list<Value> $values */
    public function __construct(
        public readonly array $values = [],
        public readonly string $unknownFields = '',
    ) {
    }

    /** @param list<mixed> $values plain PHP values, see Struct::of() */
    public static function of(array $values): self
    {
        return new self(\array_map(Value::of(...), $values));
    }

    /** @return list<mixed> */
    public function toArray(): array
    {
        return \array_map(static fn (Value $v): mixed => $v->toPhp(), $this->values);
    }

    public static function typeName(): string
    {
        return 'google.protobuf.ListValue';
    }

    public function encode(): string
    {
        $b = '';
        foreach ($this->values as $value) {
            $b .= "\x0a" . Wire::bytes($value->encode());
        }

        return $b . $this->unknownFields;
    }

    public static function read(string $b, int $i, int $end, int $depth): static
    {
        if ($depth < 0) {
            throw DecodeException::depth('google.protobuf.ListValue');
        }
        $values = [];
        $unknown = '';
        while ($i < $end) {
            $start = $i;
            $tag = Wire::readVarint($b, $i, $end);
            if (0x0A === $tag) {
                $n = Wire::readLength($b, $i, $end);
                $values[] = Value::read($b, $i, $i + $n, $depth - 1);
                $i += $n;
            } else {
                $i = Wire::skip($b, $i, $end, $tag);
                $unknown .= \substr($b, $start, $i - $start);
            }
        }

        return new self($values, $unknown);
    }

    public static function readJson(mixed $json, JsonOptions $options, int $depth): static
    {
        if ($depth < 0) {
            throw DecodeException::depth('google.protobuf.ListValue');
        }
        $values = [];
        foreach (JsonIn::list($json, 'google.protobuf.ListValue') as $value) {
            $values[] = Value::readJson($value, $options, $depth - 1);
        }

        return new self($values);
    }

    public function writeJson(JsonOptions $options): string
    {
        return '[' . \implode(',', \array_map(static fn (Value $v): string => $v->writeJson($options), $this->values)) . ']';
    }
}
