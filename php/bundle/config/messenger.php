<?php

declare(strict_types=1);

use Switchyard\Bundle\Moderation\LaterQueue;
use Switchyard\Bundle\Moderation\ModerateLater;
use Switchyard\Bundle\Moderation\ModerateLaterHandler;
use Switchyard\Bundle\Moderation\Moderator;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;

use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

return static function (ContainerConfigurator $container): void {
    $services = $container->services();
    $services->set(LaterQueue::class)
        ->arg('$logger', service('logger')->nullOnInvalid())
        ->tag('monolog.logger', ['channel' => 'switchyard']);
    $services->set(ModerateLaterHandler::class)
        ->args([service(Moderator::class), service('event_dispatcher')])
        ->tag('messenger.message_handler', ['handles' => ModerateLater::class]);
};
