<?php

declare(strict_types=1);

namespace Switchyard\Client\Message;

use Switchyard\Client\Json\JsonIn;
use Switchyard\Client\Json\JsonOptions;

/**
 * The part of Message that is the same for every type; the codecs themselves
 * (read, encode, readJson, writeJson) are generated line by line because that is
 * what makes them fast.
 */
trait Codec
{
    public static function decode(string $bytes): static
    {
        return static::read($bytes, 0, \strlen($bytes), Limits::DEPTH);
    }

    public static function fromJson(string $json, ?JsonOptions $options = null): static
    {
        try {
            $value = JsonIn::decode($json);
        } catch (\JsonException $e) {
            throw new DecodeException(static::typeName() . ': not JSON: ' . $e->getMessage(), 0, $e);
        }

        return static::readJson($value, $options ?? JsonOptions::standard(), Limits::DEPTH);
    }

    public function toJson(?JsonOptions $options = null): string
    {
        return $this->writeJson($options ?? JsonOptions::standard());
    }

    /** Lets json_encode() write the protobuf JSON form. */
    public function jsonSerialize(): mixed
    {
        return \json_decode($this->toJson(), false, Limits::JSON_DEPTH, \JSON_THROW_ON_ERROR);
    }

    /**
     * A copy with some properties replaced: $request->with(text: 'new', locale: 'de').
     *
     * @param mixed ...$changes by property name
     */
    public function with(mixed ...$changes): static
    {
        return new static(...\array_replace(\get_object_vars($this), $changes));
    }
}
