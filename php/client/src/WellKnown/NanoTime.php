<?php

declare(strict_types=1);

namespace Switchyard\Client\WellKnown;

/**
 * A time with nanoseconds. PHP's own classes stop at microseconds; a Timestamp that has
 * more digits is decoded to this class, so that it is sent back unchanged.
 */
final class NanoTime extends \DateTimeImmutable
{
    private static ?self $epoch = null;

    private int $second = 0;
    private int $nano = 0;

    /** @param int $nanos 0 to 999999999 */
    public static function of(int $seconds, int $nanos): self
    {
        // setTime() makes a copy, which costs half of what parsing "@0" does.
        $t = (self::$epoch ??= new self('@0'))->setTime(0, 0, $seconds, \intdiv($nanos, 1000));
        $t->second = $seconds;
        $t->nano = $nanos;

        return $t;
    }

    /** Nanoseconds within the second. After a modification (modify(), add(), …) the microseconds times 1000. */
    public function nanos(): int
    {
        $micros = (int) $this->format('u');
        $same = $this->getTimestamp() === $this->second && \intdiv($this->nano, 1000) === $micros;

        return $same ? $this->nano : $micros * 1000;
    }
}
