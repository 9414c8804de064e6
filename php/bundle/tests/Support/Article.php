<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use Switchyard\Bundle\Validator\Moderated;

#[Moderated(deployment: 'articles', onUnavailable: 'allow', text: 'body', title: 'headline', author: 'author.name', contentId: 'id', locale: 'locale', client: 'archive')]
final class Article
{
    public int $id;
    public string $locale = 'de-AT';

    public function __construct(public ?string $body = null, public string $headline = '', private readonly ?Author $author = null)
    {
    }

    public function getAuthor(): ?Author
    {
        return $this->author;
    }
}
