<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use Switchyard\Moderation\V1\ModerationClientInterface;
use Symfony\Component\DependencyInjection\Attribute\Target;

/** A service of an application that has a client "archive" beside the default one. */
final class Autowired
{
    public function __construct(
        public readonly ModerationClientInterface $moderation,
        #[Target('archive')]
        public readonly ?ModerationClientInterface $archive = null,
    ) {
    }
}
