<?php

declare(strict_types=1);

use Switchyard\Bundle\Client\Clients;
use Switchyard\Bundle\Client\ConnectionFactory;
use Switchyard\Bundle\Client\RequestTrace;
use Switchyard\Bundle\Moderation\LaterQueue;
use Switchyard\Bundle\Moderation\ModerationResults;
use Switchyard\Bundle\Moderation\Moderator;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;

use function Symfony\Component\DependencyInjection\Loader\Configurator\service;
use function Symfony\Component\DependencyInjection\Loader\Configurator\tagged_iterator;

return static function (ContainerConfigurator $container): void {
    $services = $container->services();
    $services->set(ConnectionFactory::class)
        ->arg('$logger', service('logger')->nullOnInvalid())
        ->arg('$trace', service(RequestTrace::class))
        ->arg('$middleware', tagged_iterator('switchyard.middleware'))
        ->tag('monolog.logger', ['channel' => 'switchyard']);
    $services->set(RequestTrace::class)->args([service('request_stack')]);
    $services->set(Clients::class);
    $services->set(ModerationResults::class)->tag('kernel.reset', ['method' => 'reset']);
    $services->set(Moderator::class)
        ->arg('$clients', service(Clients::class))
        ->arg('$results', service(ModerationResults::class))
        ->arg('$later', service(LaterQueue::class)->nullOnInvalid())
        ->arg('$logger', service('logger')->nullOnInvalid())
        ->tag('monolog.logger', ['channel' => 'switchyard']);
};
