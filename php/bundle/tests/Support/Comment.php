<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use Switchyard\Bundle\Moderation\ModeratedContent;
use Switchyard\Bundle\Moderation\Moderation;
use Switchyard\Bundle\Validator\Moderated;

final class Comment implements ModeratedContent
{
    #[Moderated(deployment: 'comments', author: 'author', contentId: 'id')]
    public ?string $body = null;

    public int $id;

    public ?string $author = null;

    public ?Moderation $moderation = null;

    public function setModeration(Moderation $moderation): void
    {
        $this->moderation = $moderation;
    }
}
