<?php

declare(strict_types=1);

use Switchyard\Bundle\Profiler\CallRecorder;
use Switchyard\Bundle\Profiler\Payload;
use Switchyard\Bundle\Profiler\SwitchyardDataCollector;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;

use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

return static function (ContainerConfigurator $container): void {
    $services = $container->services();
    $services->set(Payload::class);
    $services->set(CallRecorder::class)
        ->arg('$payload', service(Payload::class))
        ->arg('$stopwatch', service('debug.stopwatch')->nullOnInvalid())
        ->tag('kernel.reset', ['method' => 'reset']);
    $services->set(SwitchyardDataCollector::class)
        ->arg('$recorder', service(CallRecorder::class))
        ->tag('data_collector', ['id' => 'switchyard', 'template' => '@Switchyard/profiler.html.twig', 'priority' => 200]);
};
