<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

use Symfony\Contracts\Service\ResetInterface;

/**
 * What the texts of this request were found to be. After a form is valid:
 *
 *     if ($results->of($comment)?->isPending()) { ... }
 *
 * It is also why a text is decided once, though a form validates its data twice.
 */
final class ModerationResults implements ResetInterface
{
    /** Texts without an object are kept by themselves, and not without end in a long process. */
    private const MAX_LOOSE = 256;

    /** @var \WeakMap<object, ObjectModerations> */
    private \WeakMap $objects;

    /** @var array<string, Moderation> by fingerprint */
    private array $loose = [];

    /** @var array<string, Moderation> by hash of the text, the last one */
    private array $texts = [];

    public function __construct()
    {
        $this->objects = new \WeakMap();
    }

    /** That of the object's gravest text; null when none was moderated in this request. */
    public function of(object $object): ?Moderation
    {
        return ($this->objects[$object] ?? null)?->gravest();
    }

    /**
     * Those of all texts of the object as they were moderated last.
     *
     * @return array<string, Moderation> by property
     */
    public function all(object $object): array
    {
        return ($this->objects[$object] ?? null)?->byProperty ?? [];
    }

    /** That of a text which was moderated last, whatever object it belongs to. */
    public function ofText(string $text): ?Moderation
    {
        return $this->texts[\hash('xxh128', $text)] ?? null;
    }

    /** @internal */
    public function reference(?object $object): string
    {
        if (null === $object) {
            return Reference::new();
        }
        $this->objects[$object] ??= new ObjectModerations();

        return $this->objects[$object]->reference;
    }

    /** @internal */
    public function find(?object $object, TextToModerate $text): ?Moderation
    {
        $known = null === $object ? $this->loose : ($this->objects[$object] ?? null)?->byFingerprint ?? [];

        return $known[$text->fingerprint()] ?? null;
    }

    /** @internal */
    public function keep(?object $object, TextToModerate $text, Moderation $moderation): void
    {
        $this->texts = \array_slice($this->texts, -self::MAX_LOOSE, null, true);
        $this->texts[\hash('xxh128', $text->text)] = $moderation;
        if (null === $object) {
            $this->loose = \array_slice($this->loose, -self::MAX_LOOSE, null, true);
            $this->loose[$text->fingerprint()] = $moderation;

            return;
        }
        $this->objects[$object] ??= new ObjectModerations();
        $this->objects[$object]->keep($text, $moderation);
    }

    public function reset(): void
    {
        $this->objects = new \WeakMap();
        $this->loose = [];
        $this->texts = [];
    }
}
