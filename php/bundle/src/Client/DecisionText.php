<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Client;

use Switchyard\Client\Message\ProtoEnum;
use Switchyard\Common\V1\Cost;
use Switchyard\Common\V1\Decision;
use Switchyard\Common\V1\DecisionReason;
use Switchyard\Common\V1\Operation;
use Switchyard\Common\V1\Outcome;
use Switchyard\Common\V1\Stage;

/** Decisions in words, for people who read them in a terminal or in the profiler. */
final class DecisionText
{
    private function __construct()
    {
    }

    /** "automated", "review"; the number of a newer contract. */
    public static function word(ProtoEnum|int $value): string
    {
        return \is_int($value) ? 'unknown (' . $value . ')' : \strtr(\strtolower($value->name), '_', ' ');
    }

    public static function reason(Decision $decision): string
    {
        return match ($decision->reason) {
            DecisionReason::CERTIFIED => 'the score passed a certified threshold',
            DecisionReason::BELOW_THRESHOLD => 'the score is below the certified threshold',
            DecisionReason::NOT_CERTIFIED => 'the deployment has no certificate on this project\'s data' . (Outcome::AUTOMATED === $decision->outcome ? '; the policy accepts that' : ' yet'),
            DecisionReason::OUT_OF_SCOPE => 'the input is most probably none of the labels',
            DecisionReason::AUDIT => 'it was drawn for an audit',
            DecisionReason::RULE => 'a rule decided before the model was asked',
            DecisionReason::FALLBACK => 'the model could not answer; this is the policy\'s fallback',
            DecisionReason::SHADOW => 'answered in shadow: never acted on',
            DecisionReason::HALTED => 'automation was stopped',
            default => self::word($decision->reason),
        };
    }

    public static function stage(Decision $decision): string
    {
        return match ($decision->stage) {
            Stage::RULES => 'rules of the project',
            Stage::MODEL => 'the deployed model',
            Stage::FALLBACK => 'the policy\'s fallback',
            default => self::word($decision->stage),
        };
    }

    /** "moderation/comments". */
    public static function deployment(Decision $decision): string
    {
        return ($decision->operation instanceof Operation ? \strtolower($decision->operation->name) : $decision->operation) . '/' . $decision->deployment;
    }

    /** "0.002310 EUR"; empty when nothing is known of it. */
    public static function cost(?Cost $cost): string
    {
        return null === $cost || '' === $cost->currency ? '' : \sprintf('%.6f %s', $cost->totalMicros / 1e6, $cost->currency);
    }

    /** "starter-spam 1". */
    public static function model(Decision $decision): string
    {
        return null === $decision->model ? '' : $decision->model->name . ' ' . $decision->model->version;
    }
}
