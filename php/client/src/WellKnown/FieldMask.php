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

/** google.protobuf.FieldMask: which fields an update changes, by their names in the .proto file. */
final class FieldMask implements Message
{
    use Codec;

    /** @param list<string> $paths such as "display_name" or "owner.email" */
    public function __construct(
        public readonly array $paths = [],
        public readonly string $unknownFields = '',
    ) {
    }

    public static function of(string ...$paths): self
    {
        return new self(\array_values($paths));
    }

    public static function typeName(): string
    {
        return 'google.protobuf.FieldMask';
    }

    public function encode(): string
    {
        $b = '';
        foreach ($this->paths as $path) {
            $b .= "\x0a" . Wire::text($path, 'google.protobuf.FieldMask.paths');
        }

        return $b . $this->unknownFields;
    }

    public static function read(string $b, int $i, int $end, int $depth): static
    {
        $paths = [];
        $unknown = '';
        while ($i < $end) {
            $start = $i;
            $tag = Wire::readVarint($b, $i, $end);
            if (0x0A === $tag) {
                $paths[] = Wire::readText($b, $i, $end, 'google.protobuf.FieldMask.paths');
            } else {
                $i = Wire::skip($b, $i, $end, $tag);
                $unknown .= \substr($b, $start, $i - $start);
            }
        }

        return new self($paths, $unknown);
    }

    public static function readJson(mixed $json, JsonOptions $options, int $depth): static
    {
        $text = JsonIn::string($json, 'google.protobuf.FieldMask');
        if ('' === $text) {
            return new self();
        }
        if (1 !== \preg_match('/^[A-Za-z0-9]+(?:[.,][A-Za-z0-9]+)*$/D', $text)) {
            throw DecodeException::expected('google.protobuf.FieldMask', 'camelCase paths with commas', $json);
        }

        return new self(\explode(',', \preg_replace_callback('/[A-Z]/', static fn (array $m): string => '_' . \strtolower($m[0]), $text)));
    }

    public function writeJson(JsonOptions $options): string
    {
        $camel = [];
        foreach ($this->paths as $path) {
            // Only names that come back from camelCase unchanged have a JSON form.
            if (1 !== \preg_match('/^[a-z0-9]+(?:_[a-z][a-z0-9]*|\.[a-z0-9]+)*$/D', $path)) {
                throw new EncodeException('google.protobuf.FieldMask: a path without JSON form: ' . $path);
            }
            $camel[] = \preg_replace_callback('/_([a-z])/', static fn (array $m): string => \strtoupper($m[1]), $path);
        }

        return JsonOut::string(\implode(',', $camel), 'google.protobuf.FieldMask');
    }
}
