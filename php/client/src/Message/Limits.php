<?php

declare(strict_types=1);

namespace Switchyard\Client\Message;

/** How deep input may be nested before it is refused; the same limit as protobuf in C++ and Java. */
final class Limits
{
    /** Messages inside messages. */
    public const DEPTH = 100;

    /** JSON arrays and objects: a message level may need two (a map or list, then the message), plus scalars. */
    public const JSON_DEPTH = 2 * self::DEPTH + 12;

    private function __construct()
    {
    }
}
