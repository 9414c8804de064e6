<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Validator;

use Switchyard\Bundle\Moderation\OnUnavailable;
use Symfony\Component\Validator\Attribute\HasNamedArguments;
use Symfony\Component\Validator\Constraint;
use Symfony\Component\Validator\Exception\ConstraintDefinitionException;

/**
 * The text may stand. REMOVE becomes a violation; REVIEW and what was queued become a pending state, which ModerationResults and ModeratedContent tell.
 *
 *     #[Moderated(deployment: 'comments', onUnavailable: 'queue')]
 *     public string $body = '';
 *
 * or of a class, whose text and title are judged together:
 *
 *     #[Moderated(text: 'body', title: 'headline', author: 'author.id', contentId: 'id')]
 *     final class Article
 *
 * title, author, contentId and locale are property paths ("author.id" calls getAuthor()->getId()) of the object that is validated; of a field in a form without
 * a data class they are names of fields beside it. Null and the empty text are not moderated: add NotBlank.
 */
#[\Attribute(\Attribute::TARGET_PROPERTY | \Attribute::TARGET_METHOD | \Attribute::TARGET_CLASS | \Attribute::IS_REPEATABLE)]
final class Moderated extends Constraint
{
    public const REMOVED_ERROR = '7d1f8d0a-5d0e-4f0f-8a0d-6d1a52e0f6b1';
    public const UNAVAILABLE_ERROR = '0b9c5d52-7d0e-4b7e-9a53-0f9d3f1f2c4a';
    public const TOO_LONG_ERROR = '5a3e7c51-9f43-4d7d-b2f0-3f0f2b0f9d10';
    public const ENCODING_ERROR = 'd9c8fb5b-7c1e-49a8-8c1d-5cf1c9b6c7e2';

    protected const ERROR_NAMES = [
        self::REMOVED_ERROR => 'REMOVED_ERROR',
        self::UNAVAILABLE_ERROR => 'UNAVAILABLE_ERROR',
        self::TOO_LONG_ERROR => 'TOO_LONG_ERROR',
        self::ENCODING_ERROR => 'ENCODING_ERROR',
    ];

    /**
     * The same for Symfony before 6.1.
     *
     * @var array<string, string>
     */
    protected static $errorNames = self::ERROR_NAMES;

    public readonly ?OnUnavailable $onUnavailable;

    /**
     * @param ?string                   $deployment         of moderation; null for that of the configuration, as for onUnavailable, timeout and client
     * @param OnUnavailable|string|null $onUnavailable      "queue", "allow" or "reject": what becomes of the text when there is no answer
     * @param ?string                   $text               on a class: path of the text
     * @param ?int                      $timeout            milliseconds to wait
     * @param string                    $message            may hold {{ category }}, {{ rule }}, {{ deployment }} and {{ decision }}
     * @param list<string>|null         $groups
     */
    #[HasNamedArguments]
    public function __construct(
        public readonly ?string $deployment = null,
        OnUnavailable|string|null $onUnavailable = null,
        public readonly ?string $text = null,
        public readonly ?string $title = null,
        public readonly ?string $author = null,
        public readonly ?string $contentId = null,
        public readonly ?string $locale = null,
        public readonly ?int $timeout = null,
        public readonly ?string $client = null,
        public readonly string $message = 'This text is not allowed here.',
        public readonly string $unavailableMessage = 'This text could not be checked. Please try again in a moment.',
        public readonly string $tooLongMessage = 'This text is too long to be checked. It should have {{ limit }} characters or less.',
        public readonly string $encodingMessage = 'This text is not valid UTF-8.',
        ?array $groups = null,
        mixed $payload = null,
    ) {
        parent::__construct(groups: $groups, payload: $payload);
        if (\is_string($onUnavailable)) {
            $onUnavailable = OnUnavailable::tryFrom($onUnavailable) ?? throw new ConstraintDefinitionException(\sprintf('#[Moderated]: onUnavailable is "%s", but must be "queue", "allow" or "reject".', $onUnavailable));
        }
        if (null !== $timeout && $timeout < 1) {
            throw new ConstraintDefinitionException('#[Moderated]: timeout must be at least 1 millisecond.');
        }
        $this->onUnavailable = $onUnavailable;
    }

    /** @return list<string> */
    public function getTargets(): array
    {
        return [self::PROPERTY_CONSTRAINT, self::CLASS_CONSTRAINT];
    }
}
