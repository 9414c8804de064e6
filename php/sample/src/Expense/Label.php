<?php

declare(strict_types=1);

namespace App\Expense;

use Switchyard\Common\V1\Decision;
use Switchyard\Common\V1\Outcome;

/** What an expense is taken for. */
final class Label
{
    /**
     * @param string $name        empty when there is none
     * @param float  $probability 0 to 1
     * @param bool   $isCertain   whether it may be booked without a person looking first
     */
    private function __construct(public readonly string $name, public readonly float $probability, public readonly bool $isCertain)
    {
    }

    public static function of(?Decision $decision): self
    {
        $best = $decision?->labels[0] ?? null;
        if (null === $best) {
            return self::none();
        }

        return new self($best->label, $best->probability, Outcome::AUTOMATED === $decision->outcome);
    }

    public static function none(): self
    {
        return new self('', 0.0, false);
    }
}
