<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

use Psr\EventDispatcher\EventDispatcherInterface;
use Switchyard\Bundle\Client\Failures;
use Switchyard\Bundle\Event\TextModerated;
use Switchyard\Client\RpcException;

/** Moderates what was queued and tells the application by the event TextModerated. A listener that throws makes Messenger deliver the message again. */
final class ModerateLaterHandler
{
    public function __construct(private readonly Moderator $moderator, private readonly EventDispatcherInterface $events)
    {
    }

    public function __invoke(ModerateLater $message): void
    {
        try {
            $moderation = $this->moderator->decide($message->toModerate(), $message->reference);
        } catch (RpcException $e) {
            // Tried again for as long as it takes when time mends it; otherwise Messenger's own rules apply: some retries, then the failure transport.
            throw Failures::mayPass($e) ? new ModerationPostponed(Failures::sentence($e), $e) : $e;
        }
        $this->events->dispatch(new TextModerated($moderation, $message));
    }
}
