<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

/** An object that wants to know what came of moderating its texts. Called during validation, before the object is stored. */
interface ModeratedContent
{
    /**
     * Called after each text of the object. With several texts it is that of the gravest state so far, so that the last call stands for the whole object.
     */
    public function setModeration(Moderation $moderation): void;
}
