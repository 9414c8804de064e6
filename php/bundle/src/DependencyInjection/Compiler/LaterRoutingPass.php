<?php

declare(strict_types=1);

namespace Switchyard\Bundle\DependencyInjection\Compiler;

use Switchyard\Bundle\Moderation\LaterQueue;
use Switchyard\Bundle\Moderation\ModerateLater;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;

/** Finds out whether the application routes ModerateLater to a transport, so that "queue" can refuse to pretend. */
final class LaterRoutingPass implements CompilerPassInterface
{
    /** What Messenger looks for, besides the class itself. */
    private const WILDCARDS = ['Switchyard\Bundle\Moderation\*', 'Switchyard\Bundle\*', 'Switchyard\*', '*'];

    public function process(ContainerBuilder $container): void
    {
        if (!$container->hasDefinition(LaterQueue::class) || !$container->hasDefinition('messenger.senders_locator')) {
            return;
        }
        $routes = $container->getDefinition('messenger.senders_locator')->getArgument(0);
        $routed = false;
        foreach ([ModerateLater::class, ...self::WILDCARDS] as $name) {
            $routed = $routed || [] !== ($routes[$name] ?? []);
        }
        $container->getDefinition(LaterQueue::class)->setArgument('$routed', $routed);
    }
}
