<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use Switchyard\Bundle\Moderation\ModeratedContent;
use Switchyard\Bundle\Moderation\Moderation;
use Switchyard\Bundle\Validator\Moderated;

/** Two texts of one object. */
final class Profile implements ModeratedContent
{
    #[Moderated]
    public string $motto = '';

    public ?Moderation $moderation = null;

    public function __construct(private readonly string $about)
    {
    }

    #[Moderated(groups: ['Default', 'strict'])]
    public function getAbout(): string
    {
        return $this->about;
    }

    public function setModeration(Moderation $moderation): void
    {
        $this->moderation = $moderation;
    }
}
