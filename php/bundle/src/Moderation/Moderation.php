<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

use Switchyard\Client\RpcException;
use Switchyard\Common\V1\Decision;
use Switchyard\Moderation\V1\ModerateTextResponse;
use Switchyard\Moderation\V1\Action;
use Switchyard\Moderation\V1\RuleKind;
use Switchyard\Moderation\V1\RuleMatch;

/** What came of moderating one text. */
final class Moderation
{
    /**
     * @param string                $reference UUID that names the content until it has an id of its own: store it with pending content, TextModerated brings it back
     * @param string                $property  the property that the text stands in; empty when it is none
     * @param ?ModerateTextResponse $response  null when there was no answer
     * @param ?RpcException         $failure   why there was none
     */
    public function __construct(
        public readonly ModerationState $state,
        public readonly string $reference = '',
        public readonly string $property = '',
        public readonly ?ModerateTextResponse $response = null,
        public readonly ?RpcException $failure = null,
    ) {
    }

    public static function answered(ModerateTextResponse $response, string $reference, string $property): self
    {
        $state = match ($response->action) {
            Action::ALLOW => ModerationState::ALLOWED,
            Action::REMOVE => ModerationState::REMOVED,
            // An action of a newer contract is one that this version cannot take by itself.
            default => ModerationState::REVIEW,
        };

        return new self($state, $reference, $property, $response);
    }

    public function isPending(): bool
    {
        return $this->state->isPending();
    }

    public function mayBePublished(): bool
    {
        return $this->state->mayBePublished();
    }

    public function decision(): ?Decision
    {
        return $this->response?->decision;
    }

    /** For switchyard:explain and the audit; null without an answer. */
    public function decisionId(): ?string
    {
        return $this->decision()?->decisionId;
    }

    /** Id of the project's rule that decided, "profanity" for the built-in list; empty when the model did. */
    public function rule(): string
    {
        return $this->match()?->ruleId ?? '';
    }

    /** What the text is taken for, such as "insult": that of the rule, else the most probable label; empty without an answer. */
    public function category(): string
    {
        $decision = $this->decision();

        return $this->match()?->category ?: $decision?->chosenLabels[0] ?? $decision?->labels[0]?->label ?? '';
    }

    private function match(): ?RuleMatch
    {
        foreach ($this->response?->ruleMatches ?? [] as $match) {
            if (RuleKind::ALLOW !== $match->kind) {
                return $match;
            }
        }

        return null;
    }
}
