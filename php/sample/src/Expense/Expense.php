<?php

declare(strict_types=1);

namespace App\Expense;

/** One line of a bank or card statement. */
final class Expense
{
    /** @param int $cents of the statement's currency; negative for money that came back */
    public function __construct(public readonly string $date, public readonly string $description, public readonly int $cents)
    {
    }
}
