<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

use Switchyard\Client\Message\ProtoEnum;

/** google.protobuf.NullValue: JSON's null. */
enum NullValue: int implements ProtoEnum
{
    case NULL_VALUE = 0;

    public static function typeName(): string
    {
        return 'google.protobuf.NullValue';
    }

    public function protoName(): string
    {
        return 'NULL_VALUE';
    }

    public static function fromProtoName(string $name): ?static
    {
        return 'NULL_VALUE' === $name ? self::NULL_VALUE : null;
    }
}
