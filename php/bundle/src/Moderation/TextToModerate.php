<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

use Switchyard\Moderation\V1\ModerateTextRequest;

/** A text, and how to moderate it. */
final class TextToModerate
{
    /** Characters of a text, and of a title; the contract has the same limits. */
    public const MAX_TEXT = 100_000;
    public const MAX_TITLE = 1_000;

    /**
     * @param ?string        $deployment    null for that of the configuration, as for all that follow
     * @param string         $author        your id of the author: whose data it is
     * @param string         $contentId     your id of the content; empty while it has none
     * @param string         $locale        BCP 47 tag
     * @param string         $property      the property that it stands in
     * @param ?int           $timeoutMillis how long to wait
     * @param ?string        $client        name of the client
     */
    public function __construct(
        public readonly string $text,
        public readonly ?string $deployment = null,
        public readonly string $title = '',
        public readonly string $author = '',
        public readonly string $contentId = '',
        public readonly string $locale = '',
        public readonly string $property = '',
        public readonly ?OnUnavailable $onUnavailable = null,
        public readonly ?int $timeoutMillis = null,
        public readonly ?string $client = null,
    ) {
    }

    /** Equal for texts that get the same answer. */
    public function fingerprint(): string
    {
        return \hash('xxh128', \serialize(\get_object_vars($this)));
    }

    public function request(string $deployment, string $reference): ModerateTextRequest
    {
        return new ModerateTextRequest(
            deployment: $this->deployment ?? $deployment,
            text: $this->text,
            title: self::cut($this->title, self::MAX_TITLE),
            locale: $this->locale,
            authorId: $this->author,
            contentId: '' === $this->contentId ? $reference : $this->contentId,
        );
    }

    /** What is judged beside the text may be cut; the text may not. */
    private static function cut(string $text, int $characters): string
    {
        return 1 === \preg_match('/^.{0,' . $characters . '}/us', $text, $match) ? $match[0] : '';
    }
}
