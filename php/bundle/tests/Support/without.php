<?php

declare(strict_types=1);

/*
 * Boots a kernel and prints what the bundle registered. Run by OptionalPackagesTest with SYMFONY_WITHOUT.
 */

namespace Switchyard\Bundle\Tests\Support;

use Switchyard\Bundle\Command\PingCommand;
use Switchyard\Bundle\Moderation\LaterQueue;
use Switchyard\Bundle\Moderation\Moderator;
use Switchyard\Bundle\Moderation\TextToModerate;
use Switchyard\Bundle\Validator\ModeratedValidator;

require __DIR__ . '/../bootstrap.php';

\set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    if (0 === (\error_reporting() & $level) || \E_USER_DEPRECATED === $level) {
        return false;
    }
    throw new \ErrorException($message, 0, $level, $file, $line);
});
\ini_set('display_errors', 'stderr');
\error_reporting(\E_ALL & ~\E_USER_DEPRECATED & ~\E_DEPRECATED);
$kernel = (new TestKernel(['dsn' => 'unix:///nowhere/s', 'circuit_breaker' => false], true))->withFramework(['profiler' => ['collect' => false]])->withService(Autowired::class);
$kernel->boot();
$container = $kernel->getContainer();
echo \json_encode([
    'client' => $container->get(Autowired::class)->moderation::class,
    'moderation' => $container->get(Moderator::class)->moderate(new TextToModerate('hello'))->state->value,
    'validator' => $container->has(ModeratedValidator::class),
    'queue' => $container->has(LaterQueue::class),
    'commands' => $container->has(PingCommand::class),
], \JSON_THROW_ON_ERROR);
