<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

/** What becomes of a text when Switchyard does not answer in time. */
enum OnUnavailable: string
{
    /** Accept it as pending, and moderate it as soon as the server answers: Messenger keeps it. */
    case QUEUE = 'queue';
    /** Fail open: accept it, marked as unchecked. */
    case ALLOW = 'allow';
    /** Fail closed: refuse it and ask to try again. */
    case REJECT = 'reject';
}
