<?php

declare(strict_types=1);

namespace Switchyard\Client\Grpc;

/**
 * When a call has to be over. Times are those of hrtime(), which no clock change moves.
 *
 * @internal
 */
final class Deadline
{
    private function __construct(public readonly int $millis, private readonly int $atNanos)
    {
    }

    public static function in(int $millis): self
    {
        $millis = \max(1, $millis);

        return new self($millis, (int) \hrtime(true) + \min($millis, 1 << 40) * 1_000_000);
    }

    /** Seconds that are left, not less than 0. */
    public function left(): float
    {
        return \max(0, $this->atNanos - \hrtime(true)) / 1e9;
    }

    public function leftMillis(): int
    {
        return (int) \ceil($this->left() * 1e3);
    }

    public function passed(): bool
    {
        return \hrtime(true) >= $this->atNanos;
    }

    /** Value of the header grpc-timeout: at most eight digits and a unit. */
    public static function header(int $millis): string
    {
        return $millis < 100_000_000 ? $millis . 'm' : \min(\intdiv($millis, 1000), 99_999_999) . 'S';
    }
}
