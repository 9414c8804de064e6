<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Command;

use Switchyard\Bundle\Client\DecisionText;
use Switchyard\Common\V1\Decision;
use Symfony\Component\Console\Formatter\OutputFormatter;
use Symfony\Component\Console\Style\SymfonyStyle;

/** @internal prints a decision as a definition list and its labels as a table */
final class DecisionTable
{
    private const LABELS = 8;
    private const BAR = 24;

    /** @param array<string, string> $answer rows that stand first: what this operation answers beside the decision */
    public static function print(?Decision $decision, SymfonyStyle $io, array $answer = [], int $labels = self::LABELS): void
    {
        if (null === $decision) {
            $io->warning('The answer holds no decision.');

            return;
        }
        $rows = $answer + [
            'Outcome' => \ucfirst(DecisionText::word($decision->outcome)) . ': ' . DecisionText::reason($decision),
            'Chosen' => \implode(', ', $decision->chosenLabels),
            'Deployment' => DecisionText::deployment($decision),
            'Answered by' => DecisionText::stage($decision) . ('' === DecisionText::model($decision) ? '' : ', ' . DecisionText::model($decision)),
            'Time' => null === $decision->latency ? '' : \sprintf('%.2f ms in the server', $decision->latency->toSeconds() * 1e3),
            'Cost' => DecisionText::cost($decision->cost),
            'Decision' => $decision->decisionId,
        ];
        self::rows($rows, $io);
        self::labels($decision, $io, $labels);
    }

    /** @param array<string, string> $rows rows without a value are left out */
    public static function rows(array $rows, SymfonyStyle $io): void
    {
        $list = [];
        foreach ($rows as $name => $value) {
            if ('' !== $value) {
                $list[] = [$name => OutputFormatter::escape($value)];
            }
        }
        $io->definitionList(...$list);
    }

    private static function labels(Decision $decision, SymfonyStyle $io, int $max): void
    {
        $table = [];
        foreach (\array_slice($decision->labels, 0, $max) as $label) {
            $chosen = \in_array($label->label, $decision->chosenLabels, true);
            $table[] = [
                ($chosen ? '* ' : '  ') . OutputFormatter::escape($label->label),
                \sprintf('%6.2f %%', $label->probability * 100),
                \str_repeat('#', (int) \round($label->probability * self::BAR)),
            ];
        }
        if ([] !== $table) {
            $io->table(['  Label', 'Probability', ''], $table);
        }
    }
}
