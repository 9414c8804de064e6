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
    /** @param int $millis 0 for none */
    private function __construct(public readonly int $millis, private readonly int $atNanos)
    {
    }

    /** @param ?int $millis null for none at all */
    public static function in(?int $millis): self
    {
        if (null === $millis) {
            return new self(0, \PHP_INT_MAX);
        }
        $millis = \max(1, $millis);

        return new self($millis, (int) \hrtime(true) + \min($millis, 1 << 40) * 1_000_000);
    }

    /** Seconds that are left, not less than 0. */
    public function left(): float
    {
        return \max(0, $this->atNanos - \hrtime(true)) / 1e9;
    }

    /** For curl, where 0 means no limit: at least 1. */
    public function leftMillis(): int
    {
        return 0 === $this->millis ? 0 : \max(1, (int) \ceil($this->left() * 1e3));
    }

    public function passed(): bool
    {
        return \hrtime(true) >= $this->atNanos;
    }

    /** Value of the header grpc-timeout, at most eight digits and a unit; null without a deadline. */
    public function header(): ?string
    {
        $millis = $this->millis;
        if (0 === $millis) {
            return null;
        }

        return $millis < 100_000_000 ? $millis . 'm' : \min(\intdiv($millis, 1000), 99_999_999) . 'S';
    }
}
