<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Messenger\Support;

/** A message. */
final class Note
{
    public function __construct(public readonly string $text)
    {
    }
}
