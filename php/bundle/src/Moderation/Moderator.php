<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

use Psr\Log\LoggerInterface;
use Switchyard\Bundle\Client\Clients;
use Switchyard\Bundle\Client\Failures;
use Switchyard\Client\CallOptions;
use Switchyard\Client\RpcException;
use Switchyard\Moderation\V1\ModerationClientInterface;

/** Moderates texts the way the configuration says, for the constraint #[Moderated] and for code that does not validate: an API, an import. */
final class Moderator
{
    public function __construct(
        private readonly Clients $clients,
        private readonly ModerationResults $results,
        private readonly string $client,
        private readonly string $deployment,
        private readonly int $timeoutMillis,
        private readonly OnUnavailable $onUnavailable,
        private readonly ?LaterQueue $later = null,
        private readonly ?LoggerInterface $logger = null,
    ) {
    }

    /**
     * Asks once per object and text in a request; without an answer it does what onUnavailable says. Never throws for a failed call.
     *
     * @param ?object $object that the text belongs to; it is told when it is ModeratedContent
     *
     * @throws \LogicException when onUnavailable is "queue" and nothing keeps the text
     */
    public function moderate(TextToModerate $text, ?object $object = null): Moderation
    {
        $moderation = $this->results->find($object, $text);
        if (null === $moderation) {
            $reference = $this->results->reference($object);
            try {
                $moderation = $this->decide($text, $reference);
            } catch (RpcException $e) {
                $moderation = $this->without($e, $text, $reference);
            }
            $this->results->keep($object, $text, $moderation);
        }
        if ($object instanceof ModeratedContent) {
            $object->setModeration($this->results->of($object) ?? $moderation);
        }

        return $moderation;
    }

    /**
     * Asks, and does nothing else.
     *
     * @throws RpcException
     */
    public function decide(TextToModerate $text, string $reference): Moderation
    {
        $timeout = $text->timeoutMillis ?? $this->timeoutMillis;
        $response = $this->clients->get(ModerationClientInterface::class, $text->client ?? $this->client)
            ->moderateText($text->request($this->deployment, $reference), 0 === $timeout ? null : CallOptions::timeout($timeout));

        return Moderation::answered($response, $reference, $text->property);
    }

    private function without(RpcException $failure, TextToModerate $text, string $reference): Moderation
    {
        $what = $text->onUnavailable ?? $this->onUnavailable;
        $state = match ($what) {
            OnUnavailable::ALLOW => ModerationState::UNCHECKED,
            OnUnavailable::REJECT => ModerationState::UNAVAILABLE,
            OnUnavailable::QUEUE => $this->keep(ModerateLater::of($text, $reference)) ? ModerationState::QUEUED : ModerationState::UNAVAILABLE,
        };
        // What waiting does not mend is somebody's task: louder than a server that restarts.
        $this->logger?->log(Failures::mayPass($failure) ? 'warning' : 'error', 'text was not moderated, it is {state} ({policy}): {why}', [
            'state' => $state->value,
            'policy' => $what->value,
            'why' => Failures::sentence($failure),
            'reference' => $reference,
            'exception' => $failure,
        ]);

        return new Moderation($state, $reference, $text->property, failure: $failure);
    }

    private function keep(ModerateLater $message): bool
    {
        if (null === $this->later) {
            throw new \LogicException('onUnavailable is "queue", which needs Messenger: run "composer require symfony/messenger" and route Switchyard\Bundle\Moderation\ModerateLater to a transport, or choose "allow" or "reject".');
        }

        return $this->later->push($message);
    }
}
