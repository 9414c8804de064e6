<?php

declare(strict_types=1);

namespace Switchyard\Client\Json;

use Switchyard\Client\Message\TypeRegistry;

/** How the JSON form is written and read. Immutable; the defaults are those of the protobuf specification. */
final class JsonOptions
{
    private static ?self $standard = null;

    public readonly TypeRegistry $types;

    /**
     * @param bool          $emitDefaults   write fields that have their default value (not those with explicit presence)
     * @param bool          $protoNames     write field names as in the .proto file instead of camelCase
     * @param bool          $enumsAsNumbers write the numbers of enums instead of their names
     * @param bool          $ignoreUnknown  read over unknown fields and unknown enum names instead of refusing them
     * @param ?TypeRegistry $types          the messages that may be inside google.protobuf.Any
     */
    public function __construct(
        public readonly bool $emitDefaults = false,
        public readonly bool $protoNames = false,
        public readonly bool $enumsAsNumbers = false,
        public readonly bool $ignoreUnknown = false,
        ?TypeRegistry $types = null,
    ) {
        $this->types = $types ?? new TypeRegistry();
    }

    public static function standard(): self
    {
        return self::$standard ??= new self();
    }
}
