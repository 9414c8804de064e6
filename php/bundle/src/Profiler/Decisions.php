<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Profiler;

use Switchyard\Bundle\Client\DecisionText;
use Switchyard\Client\Message\Message;
use Switchyard\Client\Message\ProtoEnum;
use Switchyard\Common\V1\Decision;

/** @internal finds the decisions in a response: one of a call, of a stream's message ("result") or of a batch ("results") */
final class Decisions
{
    /** @return list<array<string, mixed>> */
    public static function in(Message $response): array
    {
        $fields = \get_object_vars($response);
        $holders = [$response, ...self::messages($fields['result'] ?? null), ...self::messages($fields['results'] ?? null)];
        $found = [];
        foreach ($holders as $holder) {
            $fields = \get_object_vars($holder);
            if (($fields['decision'] ?? null) instanceof Decision) {
                $found[] = self::summary($fields['decision'], $fields);
            }
        }

        return $found;
    }

    /** @return list<Message> */
    private static function messages(mixed $value): array
    {
        return \array_values(\array_filter(\is_array($value) ? $value : [$value], static fn (mixed $x): bool => $x instanceof Message));
    }

    /**
     * @param array<string, mixed> $fields of the message that holds the decision
     *
     * @return array<string, mixed>
     */
    private static function summary(Decision $decision, array $fields): array
    {
        $action = $fields['action'] ?? null;
        $labels = [];
        foreach (\array_slice($decision->labels, 0, 5) as $label) {
            $labels[] = ['label' => $label->label, 'probability' => $label->probability, 'chosen' => \in_array($label->label, $decision->chosenLabels, true)];
        }

        return [
            'id' => $decision->decisionId,
            'deployment' => DecisionText::deployment($decision),
            'outcome' => DecisionText::word($decision->outcome),
            'reason' => DecisionText::word($decision->reason),
            'why' => DecisionText::reason($decision),
            'stage' => DecisionText::stage($decision),
            'answer' => $action instanceof ProtoEnum ? DecisionText::word($action) : ($fields['queue'] ?? \implode(', ', $decision->chosenLabels)),
            'labels' => $labels,
            'rules' => \array_values(\array_unique(\array_map(static fn (object $match): string => $match->ruleId, $fields['ruleMatches'] ?? []))),
            'model' => DecisionText::model($decision),
            'model_digest' => $decision->model?->digest ?? '',
            'policy_digest' => $decision->policyDigest,
            'certificate' => $decision->certificateId,
            'millis' => null === $decision->latency ? null : $decision->latency->toSeconds() * 1e3,
            'cost' => DecisionText::cost($decision->cost),
            'micros' => $decision->cost?->totalMicros ?? 0,
            'currency' => $decision->cost?->currency ?? '',
        ];
    }
}
