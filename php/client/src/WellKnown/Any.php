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

/**
 * google.protobuf.Any: a message with its type. The JSON form needs the class of the
 * content, see JsonOptions::$types.
 */
final class Any implements Message
{
    use Codec;

    /**
     * @param string $typeUrl "type.googleapis.com/" and the full protobuf name
     * @param string $value   the binary form of the content
     */
    public function __construct(
        public readonly string $typeUrl = '',
        public readonly string $value = '',
        public readonly string $unknownFields = '',
    ) {
    }

    public static function pack(Message $message, string $prefix = 'type.googleapis.com/'): self
    {
        return new self($prefix . $message::typeName(), $message->encode());
    }

    /** Full protobuf name of the content. */
    public function contentType(): string
    {
        $slash = \strrpos($this->typeUrl, '/');

        return false === $slash ? $this->typeUrl : \substr($this->typeUrl, $slash + 1);
    }

    /** @param class-string<Message> $class */
    public function is(string $class): bool
    {
        return $class::typeName() === $this->contentType();
    }

    /**
     * @template T of Message
     *
     * @param class-string<T> $class
     *
     * @return T
     *
     * @throws DecodeException when the content is of another type
     */
    public function unpack(string $class): Message
    {
        if (!$this->is($class)) {
            throw new DecodeException('google.protobuf.Any: holds ' . $this->contentType() . ', not ' . $class::typeName());
        }

        return $class::decode($this->value);
    }

    public static function typeName(): string
    {
        return 'google.protobuf.Any';
    }

    public function encode(): string
    {
        return ('' === $this->typeUrl ? '' : "\x0a" . Wire::text($this->typeUrl, 'google.protobuf.Any.type_url'))
            . ('' === $this->value ? '' : "\x12" . Wire::bytes($this->value))
            . $this->unknownFields;
    }

    public static function read(string $b, int $i, int $end, int $depth): static
    {
        $typeUrl = $value = $unknown = '';
        while ($i < $end) {
            $start = $i;
            $tag = Wire::readVarint($b, $i, $end);
            if (0x0A === $tag) {
                $typeUrl = Wire::readText($b, $i, $end, 'google.protobuf.Any.type_url');
            } elseif (0x12 === $tag) {
                $value = Wire::readBytes($b, $i, $end);
            } else {
                $i = Wire::skip($b, $i, $end, $tag);
                $unknown .= \substr($b, $start, $i - $start);
            }
        }

        return new self($typeUrl, $value, $unknown);
    }

    public static function readJson(mixed $json, JsonOptions $options, int $depth): static
    {
        $rest = clone JsonIn::object($json, 'google.protobuf.Any');
        if ($depth < 0) {
            throw DecodeException::depth('google.protobuf.Any');
        }
        if ([] === (array) $rest) {
            return new self();
        }
        $typeUrl = JsonIn::string($rest->{'@type'} ?? null, 'google.protobuf.Any.@type');
        unset($rest->{'@type'});
        $any = new self($typeUrl);
        $class = $options->types->find($any->contentType())
            ?? throw new DecodeException('google.protobuf.Any: no class is registered for ' . $any->contentType());
        if (\str_starts_with($class, __NAMESPACE__ . '\\')) {
            if (!\property_exists($rest, 'value') && EmptyMessage::class !== $class) {
                throw new DecodeException('google.protobuf.Any: ' . $any->contentType() . ' needs a field "value"');
            }
            $value = $rest->value ?? (EmptyMessage::class === $class ? new \stdClass() : null);
            unset($rest->value);
            foreach ($rest as $key => $_) {
                JsonIn::unknown('google.protobuf.Any', $key, $options);
            }
            $rest = $value;
        }

        return new self($typeUrl, $class::readJson($rest, $options, $depth - 1)->encode());
    }

    public function writeJson(JsonOptions $options): string
    {
        if ('' === $this->typeUrl && '' === $this->value) {
            return '{}';
        }
        $class = $options->types->find($this->contentType())
            ?? throw new EncodeException('google.protobuf.Any: no class is registered for ' . $this->contentType());
        $json = $class::decode($this->value)->writeJson($options);
        $type = '{"@type":' . JsonOut::string($this->typeUrl, 'google.protobuf.Any.type_url');
        if (\str_starts_with($class, __NAMESPACE__ . '\\')) {
            return $type . ',"value":' . $json . '}';
        }

        return '{}' === $json ? $type . '}' : $type . ',' . \substr($json, 1);
    }
}
