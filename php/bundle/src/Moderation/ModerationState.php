<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

/** What is known of a text, and so what the application may do with it. */
enum ModerationState: string
{
    /** Publish it. */
    case ALLOWED = 'allowed';
    /** Accepted without an answer, because onUnavailable is "allow". */
    case UNCHECKED = 'unchecked';
    /** A person decides. */
    case REVIEW = 'review';
    /** There was no answer; the text is kept and moderated as soon as there is one. TextModerated tells what came of it. */
    case QUEUED = 'queued';
    /** There was no answer and the text was refused: onUnavailable is "reject". */
    case UNAVAILABLE = 'unavailable';
    /** Do not publish it. */
    case REMOVED = 'removed';

    /** Accepted, but not to be shown as decided yet. */
    public function isPending(): bool
    {
        return self::REVIEW === $this || self::QUEUED === $this;
    }

    public function mayBePublished(): bool
    {
        return self::ALLOWED === $this || self::UNCHECKED === $this;
    }

    /** The one that an object with several texts has. */
    public function gravest(self $other): self
    {
        $order = self::cases();

        return \array_search($this, $order, true) >= \array_search($other, $order, true) ? $this : $other;
    }
}
