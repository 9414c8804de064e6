<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

/** @internal what ModerationResults knows of one object */
final class ObjectModerations
{
    public readonly string $reference;

    /** @var array<string, Moderation> */
    public array $byFingerprint = [];

    /** @var array<string, Moderation> the last of each property */
    public array $byProperty = [];

    public function __construct()
    {
        $this->reference = Reference::new();
    }

    public function keep(TextToModerate $text, Moderation $moderation): void
    {
        $this->byFingerprint[$text->fingerprint()] = $moderation;
        $this->byProperty[$text->property] = $moderation;
    }

    public function gravest(): ?Moderation
    {
        $gravest = null;
        foreach ($this->byProperty as $moderation) {
            if (null === $gravest || $gravest->state !== $gravest->state->gravest($moderation->state)) {
                $gravest = $moderation;
            }
        }

        return $gravest;
    }
}
