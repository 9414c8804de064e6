<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

/** @internal names content that has no id yet */
final class Reference
{
    /** A UUIDv7: sorts by time, unique everywhere. */
    public static function new(): string
    {
        $bytes = \substr(\pack('J', (int) (\microtime(true) * 1000)), 2) . \random_bytes(10);
        $bytes[6] = \chr(\ord($bytes[6]) & 0x0F | 0x70);
        $bytes[8] = \chr(\ord($bytes[8]) & 0x3F | 0x80);

        return \vsprintf('%s%s-%s-%s-%s-%s%s%s', \str_split(\bin2hex($bytes), 4));
    }
}
