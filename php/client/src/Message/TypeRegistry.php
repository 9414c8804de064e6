<?php

declare(strict_types=1);

namespace Switchyard\Client\Message;

use Switchyard\Client\WellKnown;

/**
 * Finds the class of a protobuf type by name. Needed in one place only: the JSON form of
 * google.protobuf.Any, which contains the message itself.
 */
final class TypeRegistry
{
    private const WELL_KNOWN = [
        'google.protobuf.Any' => WellKnown\Any::class,
        'google.protobuf.BoolValue' => WellKnown\BoolValue::class,
        'google.protobuf.BytesValue' => WellKnown\BytesValue::class,
        'google.protobuf.DoubleValue' => WellKnown\DoubleValue::class,
        'google.protobuf.Duration' => WellKnown\Duration::class,
        'google.protobuf.Empty' => WellKnown\EmptyMessage::class,
        'google.protobuf.FieldMask' => WellKnown\FieldMask::class,
        'google.protobuf.FloatValue' => WellKnown\FloatValue::class,
        'google.protobuf.Int32Value' => WellKnown\Int32Value::class,
        'google.protobuf.Int64Value' => WellKnown\Int64Value::class,
        'google.protobuf.ListValue' => WellKnown\ListValue::class,
        'google.protobuf.StringValue' => WellKnown\StringValue::class,
        'google.protobuf.Struct' => WellKnown\Struct::class,
        'google.protobuf.Timestamp' => WellKnown\Timestamp::class,
        'google.protobuf.UInt32Value' => WellKnown\UInt32Value::class,
        'google.protobuf.UInt64Value' => WellKnown\UInt64Value::class,
        'google.protobuf.Value' => WellKnown\Value::class,
    ];

    /** @param array<string, class-string<Message>> $classes by full protobuf name */
    public function __construct(private readonly array $classes = [])
    {
    }

    /** @param class-string<Message> ...$classes */
    public static function of(string ...$classes): self
    {
        $byName = [];
        foreach ($classes as $class) {
            $byName[$class::typeName()] = $class;
        }

        return new self($byName);
    }

    /**
     * All messages of the generated code that the manifest file describes.
     *
     * @param string ...$files paths of generated manifest.php files
     */
    public static function fromManifest(string ...$files): self
    {
        $classes = [];
        foreach ($files as $file) {
            $classes += (require $file)['messages'];
        }

        return new self($classes);
    }

    /** @return class-string<Message>|null */
    public function find(string $typeName): ?string
    {
        return $this->classes[$typeName] ?? self::WELL_KNOWN[$typeName] ?? null;
    }
}
