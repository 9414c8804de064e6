<?php

declare(strict_types=1);

namespace App\Comment;

use Psr\Log\LoggerInterface;
use Switchyard\Bundle\Event\TextModerated;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/** Runs in the worker: a comment that was accepted while Switchyard was away has its answer. */
final class SettleComment implements EventSubscriberInterface
{
    public function __construct(private readonly Comments $comments, private readonly LoggerInterface $logger)
    {
    }

    public static function getSubscribedEvents(): array
    {
        return [TextModerated::class => 'settle'];
    }

    public function settle(TextModerated $event): void
    {
        if (!$this->comments->settle($event->moderation)) {
            // Told twice, or a form that was refused for another of its fields: then there is no comment.
            $this->logger->info('no comment waits for the answer to {reference}', ['reference' => $event->moderation->reference]);
        }
    }
}
