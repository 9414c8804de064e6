<?php

declare(strict_types=1);

/*
 * The front controller of a small application with the web profiler, for "php -S". The environment says where the server and the application's folder are.
 */

namespace Switchyard\Bundle\Tests\Profiler;

use Switchyard\Bundle\Tests\Support\TestKernel;
use Symfony\Bundle\TwigBundle\TwigBundle;
use Symfony\Bundle\WebProfilerBundle\WebProfilerBundle;
use Symfony\Component\HttpFoundation\Request;

require __DIR__ . '/../bootstrap.php';

$kernel = (new TestKernel([
    'clients' => ['default' => ['dsn' => '%env(TEST_DSN)%', 'key' => '%env(TEST_KEY)%'], 'gone' => ['dsn' => 'unix:///nowhere/s', 'circuit_breaker' => false]],
    'profiler' => ['decision_url' => 'https://switchyard.example/decisions/{id}', 'max_payload' => 1500],
], true, 'dev', \getenv('TEST_DIR')))
    ->withBundles(TwigBundle::class, WebProfilerBundle::class)
    ->withFramework([
        'test' => false,
        'profiler' => ['collect' => true],
        'router' => ['resource' => __DIR__ . '/routes.php'],
        'validation' => ['enabled' => true, 'enable_annotations' => true],
    ])
    ->with(static function ($container): void {
        $container->loadFromExtension('web_profiler', ['toolbar' => true, 'intercept_redirects' => false]);
        $container->register(Controller::class, Controller::class)->setAutowired(true)->setPublic(true)->addTag('controller.service_arguments');
    });
$request = Request::createFromGlobals();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
