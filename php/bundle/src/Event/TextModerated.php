<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Event;

use Switchyard\Bundle\Moderation\Moderation;
use Switchyard\Bundle\Moderation\ModerateLater;

/**
 * A text that was queued has its answer: publish the content, take it down, or leave it to a person.
 *
 *     #[AsEventListener]
 *     public function onTextModerated(TextModerated $event): void
 *     {
 *         $comment = $this->comments->findOneBy(['reference' => $event->moderation->reference]);
 *         ...
 *     }
 *
 * Delivered at least once, and one for each text of an object with several.
 */
final class TextModerated
{
    public function __construct(public readonly Moderation $moderation, public readonly ModerateLater $message)
    {
    }

    /** Your id of the content; empty when it had none while it was validated. Then moderation->reference names it. */
    public function contentId(): string
    {
        return $this->message->contentId;
    }
}
