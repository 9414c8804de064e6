<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Command;

use Switchyard\Bundle\Client\DecisionText;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Message\Message;
use Switchyard\Common\V1\Decision;
use Switchyard\Common\V1\DecisionRecord;
use Switchyard\Common\V1\InputRetention;
use Switchyard\Common\V1\Operation;
use Switchyard\Decisions\V1\DecisionClientInterface;
use Switchyard\Decisions\V1\GetDecisionRequest;
use Switchyard\Decisions\V1\GetDecisionResponse;
use Switchyard\Moderation\V1\Action;
use Switchyard\Routing\V1\Priority;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Exception\InvalidArgumentException;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Style\SymfonyStyle;

#[AsCommand(name: 'switchyard:explain', description: 'Explains a decision: what, when, why, by which model and policy, at what cost')]
final class ExplainCommand extends CallCommand
{
    private const UUID = '/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iD';
    private const LABELS = 20;
    private const INPUT = 400;

    protected function configure(): void
    {
        parent::configure();
        $this->addArgument('decision', InputArgument::REQUIRED, 'Id of the decision');
    }

    protected function call(InputInterface $input, CallOptions $options): Message
    {
        $id = (string) $input->getArgument('decision');
        if (1 !== \preg_match(self::UUID, $id)) {
            throw new InvalidArgumentException(\sprintf('"%s" is not the id of a decision; they look like 0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42.', $id));
        }

        return $this->client(DecisionClientInterface::class, $input)->getDecision(new GetDecisionRequest($id), $options);
    }

    protected function print(Message $answer, SymfonyStyle $io): void
    {
        \assert($answer instanceof GetDecisionResponse);
        $record = $answer->record;
        $decision = $record?->decision;
        if (null === $record || null === $decision) {
            $io->warning('The server knows the decision, but sent nothing of it.');

            return;
        }
        $io->title('Decision ' . $decision->decisionId);
        $io->text(self::sentence($decision, $record));
        $io->newLine();
        DecisionTable::print($decision, $io, ['When' => (string) $decision->time?->format('Y-m-d H:i:s.v \U\T\C')] + self::answer($decision, $record), self::LABELS);
        $io->section('Made by');
        DecisionTable::rows([
            'Model' => $decision->model?->digest ?? '',
            'Policy' => $decision->policyDigest,
            'Certificate' => '' !== $decision->certificateId ? $decision->certificateId : ($decision->uncertified ? 'none: the policy accepts that' : ''),
            'Variant' => DecisionText::word($decision->variant),
            'Rules' => \implode(', ', $record->ruleIds),
            'Audit' => true === $decision->audit?->selected ? \sprintf('a person checks it; it was drawn with probability %.3f', $decision->audit->probability) : '',
            'Compute' => null === $decision->cost?->compute ? '' : \sprintf('%.3f ms', $decision->cost->compute->toSeconds() * 1e3),
        ], $io);
        $io->section('Asked by');
        DecisionTable::rows([
            'Project' => $decision->project,
            'Key' => $record->caller,
            'Content' => $record->contentId,
            'Subject' => $record->subjectId,
            'Request id' => $record->requestId,
            'Trace' => $record->traceparent,
            'Idempotency key' => $record->idempotencyKey,
            'Input' => self::input($record),
            'Input SHA-256' => \bin2hex($record->inputSha256),
        ], $io);
    }

    private static function sentence(Decision $decision, DecisionRecord $record): string
    {
        $what = self::answer($decision, $record)['Action'] ?? \implode(', ', $decision->chosenLabels);

        return \sprintf(
            '%s answered %s. The outcome is %s, because %s.',
            DecisionText::deployment($decision),
            '' === $what ? 'without a label' : '"' . $what . '"',
            DecisionText::word($decision->outcome),
            DecisionText::reason($decision),
        );
    }

    /** @return array<string, string> */
    private static function answer(Decision $decision, DecisionRecord $record): array
    {
        return match (true) {
            0 === $record->action => [],
            Operation::MODERATION === $decision->operation => ['Action' => DecisionText::word(Action::tryFrom($record->action) ?? $record->action)],
            Operation::ROUTING === $decision->operation => ['Priority' => DecisionText::word(Priority::tryFrom($record->action) ?? $record->action)],
            default => [],
        };
    }

    private static function input(DecisionRecord $record): string
    {
        if (InputRetention::ABSENT === $record->inputRetention || null === $record->input) {
            return 'not kept';
        }
        $text = \trim($record->input->title . "\n" . $record->input->text);
        foreach ($record->input->fields as $name => $value) {
            $text .= \sprintf("\n%s = %s", $name, \json_encode($value->number ?? $value->text ?? $value->boolean, \JSON_UNESCAPED_UNICODE | \JSON_UNESCAPED_SLASHES));
        }
        if (1 === \preg_match('/^.{' . self::INPUT . '}(?=.)/us', $text, $start)) {
            $text = $start[0] . '…';
        }

        return \trim($text) . (InputRetention::REDACTED === $record->inputRetention ? ' (personal data is masked)' : '');
    }
}
