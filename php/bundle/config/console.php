<?php

declare(strict_types=1);

use Switchyard\Bundle\Client\Clients;
use Switchyard\Bundle\Command\ClassifyCommand;
use Switchyard\Bundle\Command\DoctorCommand;
use Switchyard\Bundle\Command\ExplainCommand;
use Switchyard\Bundle\Command\ModerateCommand;
use Switchyard\Bundle\Command\PingCommand;
use Switchyard\Bundle\Command\RouteCommand;
use Switchyard\Bundle\Moderation\LaterQueue;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;

use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

return static function (ContainerConfigurator $container): void {
    $services = $container->services();
    foreach ([PingCommand::class, ModerateCommand::class, RouteCommand::class, ClassifyCommand::class, ExplainCommand::class] as $command) {
        $services->set($command)->arg('$clients', service(Clients::class))->tag('console.command');
    }
    $services->set(DoctorCommand::class)->arg('$later', service(LaterQueue::class)->nullOnInvalid())->tag('console.command');
};
