<?php

declare(strict_types=1);

namespace Switchyard\Client;

/**
 * How often and after what wait an idempotent call is repeated. The wait before attempt n+1 is a random time between 0 and
 * min(maxBackoff, initialBackoff · 2^(n-1)): "full jitter", which spreads callers best
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 */
final class RetryPolicy
{
    /**
     * @param int $maxAttempts          1 for no repetition
     * @param int $initialBackoffMillis bound of the first wait
     * @param int $maxBackoffMillis     bound of every wait
     */
    public function __construct(
        public readonly int $maxAttempts = 3,
        public readonly int $initialBackoffMillis = 20,
        public readonly int $maxBackoffMillis = 500,
    ) {
        if ($maxAttempts < 1 || $initialBackoffMillis < 0 || $maxBackoffMillis < 0) {
            throw new \InvalidArgumentException('RetryPolicy: at least one attempt, and no negative wait');
        }
    }

    public static function none(): self
    {
        return new self(1);
    }

    /** Milliseconds to wait after a number of failed attempts. */
    public function backoffMillis(int $failed): int
    {
        $bound = \min($this->maxBackoffMillis, $this->initialBackoffMillis * 2 ** \min($failed - 1, 20));

        return \random_int(0, (int) $bound);
    }
}
