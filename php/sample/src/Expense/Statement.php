<?php

declare(strict_types=1);

namespace App\Expense;

/** A statement with a label for each line, and sums by label. */
final class Statement implements \JsonSerializable
{
    /** @var array<int, Label> */
    private array $labels = [];

    /** @param list<Expense> $expenses */
    public function __construct(private readonly array $expenses)
    {
    }

    public function label(int $number, Label $label): void
    {
        $this->labels[$number] = $label;
    }

    /** @return array{lines: list<array<string, mixed>>, sums: array<string, array{lines: int, cents: int}>, missing: int} */
    public function jsonSerialize(): array
    {
        $lines = $sums = [];
        foreach ($this->expenses as $number => $expense) {
            $label = $this->labels[$number] ?? Label::none();
            $lines[] = \get_object_vars($expense) + ['label' => \get_object_vars($label)];
            $sums[$label->name]['lines'] = ($sums[$label->name]['lines'] ?? 0) + 1;
            $sums[$label->name]['cents'] = ($sums[$label->name]['cents'] ?? 0) + $expense->cents;
        }
        \uasort($sums, static fn (array $a, array $b): int => $b['cents'] <=> $a['cents']);

        return ['lines' => $lines, 'sums' => $sums, 'missing' => \count($this->expenses) - \count($this->labels)];
    }
}
