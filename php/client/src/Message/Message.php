<?php

declare(strict_types=1);

namespace Switchyard\Client\Message;

use Switchyard\Client\Json\JsonOptions;

/**
 * A protobuf message. Implementations are immutable, final and written by
 * protoc-gen-php-switchyard; the few exceptions live in Switchyard\Client\WellKnown.
 *
 * Binary form: https://protobuf.dev/programming-guides/encoding/
 * JSON form: https://protobuf.dev/programming-guides/json/
 */
interface Message extends \JsonSerializable
{
    /** Full protobuf name, for example "switchyard.moderation.v1.ModerateTextRequest". */
    public static function typeName(): string;

    /**
     * Reads the binary form. Fields this version does not know are kept and written back by encode().
     *
     * @throws DecodeException when the bytes are not a message of this type
     */
    public static function decode(string $bytes): static;

    /**
     * Writes the binary form: fields in the order of their numbers, then unknown fields.
     *
     * @throws EncodeException when a value does not fit its field, such as a string that is not UTF-8
     */
    public function encode(): string;

    /**
     * Reads the JSON form; field names may be camelCase or as in the .proto file.
     *
     * @throws DecodeException when the text is not JSON or does not fit this type
     */
    public static function fromJson(string $json, ?JsonOptions $options = null): static;

    /**
     * Writes the JSON form: 64-bit integers as strings, bytes as base64, enums by name.
     *
     * @throws EncodeException when a value has no JSON form, such as an Any of an unknown type
     */
    public function toJson(?JsonOptions $options = null): string;

    /**
     * Reads bytes $i up to but excluding $end of $b.
     *
     * @internal called by generated code; $depth is how many levels of messages may still follow
     *
     * @throws DecodeException
     */
    public static function read(string $b, int $i, int $end, int $depth): static;

    /**
     * Reads what json_decode made of the JSON form, objects as \stdClass.
     *
     * @internal called by generated code
     *
     * @throws DecodeException
     */
    public static function readJson(mixed $json, JsonOptions $options, int $depth): static;

    /**
     * @internal called by generated code
     *
     * @throws EncodeException
     */
    public function writeJson(JsonOptions $options): string;
}
