<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

final class Author
{
    public function __construct(public readonly string $name)
    {
    }
}
