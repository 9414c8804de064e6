<?php

declare(strict_types=1);

namespace App\Comment;

use Switchyard\Bundle\Validator\Moderated;
use Symfony\Component\Validator\Constraints as Assert;

/** What a reader writes below the article. */
final class Comment
{
    #[Assert\NotBlank(message: 'Please say who you are.')]
    #[Assert\Length(max: 60)]
    public ?string $author = null;

    #[Assert\NotBlank(message: 'Please write something.')]
    #[Assert\Length(max: 2000)]
    #[Moderated(deployment: 'comments', onUnavailable: 'queue', author: 'author', message: 'This comment cannot be published here.')]
    public ?string $text = null;
}
