<?php

declare(strict_types=1);

use Switchyard\Bundle\Tests\Profiler\Controller;
use Symfony\Bundle\WebProfilerBundle\WebProfilerBundle;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

return static function (RoutingConfigurator $routes): void {
    $routes->add('page', '/page')->controller([Controller::class, 'page']);
    // PHP since Symfony 7.3, XML before 8.
    $folder = \dirname((string) (new \ReflectionClass(WebProfilerBundle::class))->getFileName()) . '/Resources/config/routing/';
    $form = \is_file($folder . 'wdt.php') ? '.php' : '.xml';
    $routes->import($folder . 'wdt' . $form)->prefix('/_wdt');
    $routes->import($folder . 'profiler' . $form)->prefix('/_profiler');
};
