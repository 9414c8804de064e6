<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

/** Message: a text that was accepted as pending because there was no answer. Holds nothing but strings, so every serializer can carry it. */
final class ModerateLater
{
    public function __construct(
        public readonly string $reference,
        public readonly string $text,
        public readonly ?string $deployment = null,
        public readonly string $title = '',
        public readonly string $author = '',
        public readonly string $contentId = '',
        public readonly string $locale = '',
        public readonly string $property = '',
        public readonly ?string $client = null,
    ) {
    }

    public static function of(TextToModerate $text, string $reference): self
    {
        return new self($reference, $text->text, $text->deployment, $text->title, $text->author, $text->contentId, $text->locale, $text->property, $text->client);
    }

    /** Nobody waits for it: the deadline is that of the contract. */
    public function toModerate(): TextToModerate
    {
        return new TextToModerate(
            $this->text,
            $this->deployment,
            $this->title,
            $this->author,
            $this->contentId,
            $this->locale,
            $this->property,
            timeoutMillis: 0,
            client: $this->client,
        );
    }
}
