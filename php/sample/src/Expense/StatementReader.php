<?php

declare(strict_types=1);

namespace App\Expense;

/** Reads "date, description, amount" as banks and spreadsheets write it: with commas, semicolons or tabs, with or without a header, "1.234,50" or "1,234.50". */
final class StatementReader
{
    public const MAX_ROWS = 5_000;

    /**
     * @return list<Expense>
     *
     * @throws UnreadableStatement naming the line
     */
    public function read(string $csv): array
    {
        $csv = \str_starts_with($csv, "\xEF\xBB\xBF") ? \substr($csv, 3) : $csv;
        if (1 !== \preg_match('//u', $csv)) {
            $csv = (string) \iconv('Windows-1252', 'UTF-8//IGNORE', $csv); // spreadsheets that were told nothing
        }
        $file = \fopen('php://memory', 'r+b');
        \fwrite($file, $csv);
        \rewind($file);
        $expenses = [];
        for ($line = 1; false !== $row = \fgetcsv($file, null, self::separator($csv), '"', ''); ++$line) {
            if ([null] === $row || (1 === $line && null === self::cents($row[2] ?? ''))) {
                continue; // an empty line, or the header
            }
            $expenses[] = self::expense($row, $line);
            if (\count($expenses) > self::MAX_ROWS) {
                throw new UnreadableStatement(\sprintf('The statement has more than %d lines.', self::MAX_ROWS));
            }
        }

        return [] === $expenses ? throw new UnreadableStatement('The statement has no line with date, description and amount.') : $expenses;
    }

    /** @param list<?string> $row */
    private static function expense(array $row, int $line): Expense
    {
        $description = \trim($row[1] ?? '');
        $cents = self::cents($row[2] ?? '');
        if ('' === $description || null === $cents) {
            throw new UnreadableStatement(\sprintf('Line %d is not "date, description, amount".', $line));
        }

        return new Expense(\trim((string) $row[0]), \mb_substr($description, 0, 500), $cents);
    }

    private static function separator(string $csv): string
    {
        $first = \strtok($csv, "\r\n");
        $counts = \array_map(static fn (string $separator): int => \substr_count((string) $first, $separator), [';' => ';', "\t" => "\t", ',' => ',']);
        \arsort($counts);

        return (string) \key($counts);
    }

    /** Null when it is no amount. The last comma or point before one or two digits is that of the cents. */
    private static function cents(?string $amount): ?int
    {
        $amount = \preg_replace('/[\s€$£\'’]|EUR|USD|GBP|CHF/u', '', (string) $amount);
        if (1 !== \preg_match('/^([+-]?)(\d{1,3}(?:[.,]\d{3})*|\d{1,9})(?:[.,](\d{1,2}))?$/D', (string) $amount, $part)) {
            return null;
        }
        $whole = (int) \str_replace(['.', ','], '', $part[2]);

        return ('-' === $part[1] ? -1 : 1) * ($whole * 100 + (int) \str_pad($part[3] ?? '', 2, '0'));
    }
}
