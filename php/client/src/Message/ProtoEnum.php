<?php

declare(strict_types=1);

namespace Switchyard\Client\Message;

/**
 * A protobuf enum: an int-backed PHP enum whose numbers are those of the contract.
 * Fields are typed "Kind|int", since a newer peer may send a number this version does not know.
 */
interface ProtoEnum extends \BackedEnum
{
    /** Full protobuf name of the enum. */
    public static function typeName(): string;

    /** The name of the value in the .proto file, which is also its JSON form. */
    public function protoName(): string;

    /** The case of a name in the .proto file, aliases included; null when there is none. */
    public static function fromProtoName(string $name): ?static;
}
