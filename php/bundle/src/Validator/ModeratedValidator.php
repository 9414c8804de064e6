<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Validator;

use Switchyard\Bundle\Moderation\Moderation;
use Switchyard\Bundle\Moderation\ModerationState;
use Switchyard\Bundle\Moderation\Moderator;
use Switchyard\Bundle\Moderation\TextToModerate;
use Symfony\Component\Form\FormInterface;
use Symfony\Component\PropertyAccess\Exception\UnexpectedTypeException as UnexpectedPropertyTypeException;
use Symfony\Component\PropertyAccess\Exception\UninitializedPropertyException;
use Symfony\Component\PropertyAccess\PropertyAccessorInterface;
use Symfony\Component\Validator\Constraint;
use Symfony\Component\Validator\ConstraintValidator;
use Symfony\Component\Validator\Exception\ConstraintDefinitionException;
use Symfony\Component\Validator\Exception\UnexpectedTypeException;
use Symfony\Component\Validator\Exception\UnexpectedValueException;

/** Asks the Moderator, and says its answer as violations. */
final class ModeratedValidator extends ConstraintValidator
{
    public function __construct(private readonly Moderator $moderator, private readonly ?PropertyAccessorInterface $properties = null)
    {
    }

    public function validate(mixed $value, Constraint $constraint): void
    {
        if (!$constraint instanceof Moderated) {
            throw new UnexpectedTypeException($constraint, Moderated::class);
        }
        if (null === $value) {
            return;
        }
        $ofClass = \is_object($value) && null !== $constraint->text;
        $object = $ofClass ? $value : $this->context->getObject();
        $text = $ofClass ? $this->read($value, $constraint->text) : $value;
        if (null !== $text && !\is_string($text) && !$text instanceof \Stringable) {
            throw new UnexpectedValueException($text, 'string');
        }
        $text = (string) $text;
        if ('' === \trim($text) || $this->isUnfit($text, $constraint)) {
            return;
        }
        $moderation = $this->moderator->moderate(new TextToModerate(
            $text,
            $constraint->deployment,
            $this->string($object, $constraint->title),
            $this->string($object, $constraint->author),
            $this->string($object, $constraint->contentId),
            $this->string($object, $constraint->locale),
            $ofClass ? $constraint->text : (string) $this->context->getPropertyName(),
            $constraint->onUnavailable,
            $constraint->timeout,
            $constraint->client,
        ), $object);
        $this->report($moderation, $constraint, $text);
    }

    /** What the server would refuse to look at is said here, without a call. */
    private function isUnfit(string $text, Moderated $constraint): bool
    {
        if (1 !== \preg_match('//u', $text)) {
            $this->violate($constraint->encodingMessage, Moderated::ENCODING_ERROR, $constraint, '', []);

            return true;
        }
        if (\strlen($text) <= TextToModerate::MAX_TEXT || \preg_match_all('/./us', $text) <= TextToModerate::MAX_TEXT) {
            return false;
        }
        $this->violate($constraint->tooLongMessage, Moderated::TOO_LONG_ERROR, $constraint, $text, ['{{ limit }}' => (string) TextToModerate::MAX_TEXT]);

        return true;
    }

    private function report(Moderation $moderation, Moderated $constraint, string $text): void
    {
        if (ModerationState::REMOVED === $moderation->state) {
            $this->violate($constraint->message, Moderated::REMOVED_ERROR, $constraint, $text, [
                '{{ category }}' => $moderation->category(),
                '{{ rule }}' => $moderation->rule(),
                '{{ deployment }}' => $moderation->decision()?->deployment ?? '',
                '{{ decision }}' => $moderation->decisionId() ?? '',
            ], $moderation);
        }
        if (ModerationState::UNAVAILABLE === $moderation->state) {
            $this->violate($constraint->unavailableMessage, Moderated::UNAVAILABLE_ERROR, $constraint, $text, [], $moderation);
        }
    }

    /** @param array<string, string> $parameters */
    private function violate(string $message, string $code, Moderated $constraint, string $text, array $parameters, ?Moderation $cause = null): void
    {
        $violation = $this->context->buildViolation($message)->setCode($code)->setInvalidValue($text)->setCause($cause);
        foreach ($parameters as $name => $value) {
            $violation->setParameter($name, $value);
        }
        if (null !== $constraint->text && null === $this->context->getPropertyName()) {
            $violation->atPath($constraint->text);
        }
        $violation->addViolation();
    }

    private function string(?object $object, ?string $path): string
    {
        $value = null === $path || null === $object ? null : $this->read($object, $path);
        if (null !== $value && !\is_scalar($value) && !$value instanceof \Stringable) {
            throw new ConstraintDefinitionException(\sprintf('#[Moderated]: "%s" of %s must be a string or a number, it is %s.', $path, \get_debug_type($object), \get_debug_type($value)));
        }

        return (string) $value;
    }

    private function read(object $object, string $path): mixed
    {
        if ($object instanceof FormInterface) {
            $beside = $object->getParent() ?? $object;

            return $beside->has($path) ? $beside->get($path)->getData() : throw new ConstraintDefinitionException(\sprintf('#[Moderated]: the form "%s" has no field "%s".', $beside->getName(), $path));
        }
        if (null === $this->properties) {
            throw new ConstraintDefinitionException('#[Moderated]: property paths need symfony/property-access.');
        }

        try {
            return $this->properties->getValue($object, $path);
        } catch (UninitializedPropertyException | UnexpectedPropertyTypeException) {
            return null; // no id yet; "author.id" without an author
        }
    }
}
