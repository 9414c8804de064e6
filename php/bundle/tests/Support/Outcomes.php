<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use Switchyard\Bundle\Event\TextModerated;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/** The part of an application that waits for what was queued. */
final class Outcomes implements EventSubscriberInterface
{
    /** @var list<TextModerated> */
    public array $events = [];

    /** @return array<class-string, string> */
    public static function getSubscribedEvents(): array
    {
        return [TextModerated::class => 'onTextModerated'];
    }

    public function onTextModerated(TextModerated $event): void
    {
        $this->events[] = $event;
    }
}
