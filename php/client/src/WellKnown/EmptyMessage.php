<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

use Switchyard\Client\Json\JsonIn;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Message\Codec;
use Switchyard\Client\Message\Message;
use Switchyard\Client\Wire\Wire;

/** google.protobuf.Empty ("Empty" alone is a reserved word of PHP). */
final class EmptyMessage implements Message
{
    use Codec;

    public function __construct(public readonly string $unknownFields = '')
    {
    }

    public static function typeName(): string
    {
        return 'google.protobuf.Empty';
    }

    public function encode(): string
    {
        return $this->unknownFields;
    }

    public static function read(string $b, int $i, int $end, int $depth): static
    {
        $start = $i;
        while ($i < $end) {
            $tag = Wire::readVarint($b, $i, $end);
            $i = Wire::skip($b, $i, $end, $tag);
        }

        return new self(\substr($b, $start, $end - $start));
    }

    public static function readJson(mixed $json, JsonOptions $options, int $depth): static
    {
        foreach (JsonIn::object($json, 'google.protobuf.Empty') as $key => $_) {
            JsonIn::unknown('google.protobuf.Empty', $key, $options);
        }

        return new self();
    }

    public function writeJson(JsonOptions $options): string
    {
        return '{}';
    }
}
