<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use Switchyard\Client\WellKnown\Duration;
use Switchyard\Common\V1\Audit;
use Switchyard\Common\V1\Cost;
use Switchyard\Common\V1\Decision;
use Switchyard\Common\V1\DecisionReason;
use Switchyard\Common\V1\DecisionRecord;
use Switchyard\Common\V1\InputRetention;
use Switchyard\Common\V1\LabelProbability;
use Switchyard\Common\V1\ModelRef;
use Switchyard\Common\V1\Operation;
use Switchyard\Common\V1\Outcome;
use Switchyard\Common\V1\RecordedInput;
use Switchyard\Common\V1\Stage;
use Switchyard\Common\V1\Variant;
use Switchyard\Decisions\V1\GetDecisionResponse;

final class Records
{
    /** A certified removal, drawn for an audit. */
    public static function moderation(): GetDecisionResponse
    {
        return new GetDecisionResponse(new DecisionRecord(
            decision: new Decision(
                decisionId: '0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42',
                project: 'default',
                operation: Operation::MODERATION,
                deployment: 'comments',
                time: new \DateTimeImmutable('2026-11-01T12:00:00.250Z'),
                outcome: Outcome::AUTOMATED,
                reason: DecisionReason::CERTIFIED,
                labels: [new LabelProbability('toxic', 0.97), new LabelProbability('harmless', 0.03)],
                chosenLabels: ['toxic'],
                stage: Stage::MODEL,
                model: new ModelRef('comments', 7, 'sha256:aa'),
                policyDigest: 'sha256:bb',
                certificateId: 'c-1',
                variant: Variant::CHAMPION,
                audit: new Audit(true, 0.05),
                latency: Duration::ofSeconds(0.0004),
                cost: new Cost(2310, 10, 2300, 'EUR', Duration::ofSeconds(0.0003)),
            ),
            caller: 'k7Qm2xWd',
            inputSha256: \str_repeat("\xab", 32),
            inputRetention: InputRetention::FULL,
            input: new RecordedInput(text: 'you <b>fool</b>'),
            action: 2,
            contentId: '42',
        ));
    }
}
