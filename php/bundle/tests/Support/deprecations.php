<?php

declare(strict_types=1);

/*
 * Uses all of the bundle under Symfony's DebugClassLoader and prints the deprecations that come from it. Run by DeprecationsTest.
 */

namespace Switchyard\Bundle\Tests\Support;

use Switchyard\Bundle\Test\Fakes;
use Switchyard\Decisions\V1\FakeDecisionClient;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Bundle\TwigBundle\TwigBundle;
use Symfony\Bundle\WebProfilerBundle\WebProfilerBundle;
use Symfony\Component\Console\Input\ArrayInput;
use Symfony\Component\Console\Output\BufferedOutput;
use Symfony\Component\ErrorHandler\DebugClassLoader;
use Symfony\Component\HttpFoundation\Request;

\putenv('SYMFONY_PATCH_TYPE_DECLARATIONS=deprecations=1');
require __DIR__ . '/../bootstrap.php';

$src = \dirname(__DIR__, 2) . '/src/';
$ours = [];
$provoked = 0;
\set_error_handler(static function (int $level, string $message) use (&$ours, &$provoked, $src): bool {
    if (\E_USER_DEPRECATED !== $level && \E_DEPRECATED !== $level) {
        return false;
    }
    if (\str_contains($message, 'provoked')) {
        ++$provoked;

        return true;
    }
    $from = \str_contains($message, 'Switchyard\Bundle\\') && !\str_contains($message, 'Switchyard\Bundle\Tests\\') ? 'the message' : null;
    foreach (\debug_backtrace(\DEBUG_BACKTRACE_IGNORE_ARGS) as $frame) {
        if (\str_starts_with($frame['file'] ?? '', $src)) {
            $from ??= \substr($frame['file'], \strlen($src)) . ':' . $frame['line'];
        }
    }
    if (null !== $from) {
        $ours[] = $from . ': ' . $message;
    }

    return true;
});
DebugClassLoader::enable();
@\trigger_error('provoked', \E_USER_DEPRECATED);

foreach (BundleClasses::all() as $class) {
    \class_exists($class) || \interface_exists($class) || \trait_exists($class) || \enum_exists($class) || throw new \LogicException('there is no ' . $class);
}

foreach ([false, true] as $fake) {
    $kernel = (new TestKernel(['clients' => ['default' => ['dsn' => 'unix:///nowhere/s', 'timeout' => 50, 'circuit_breaker' => false], 'archive' => 'tcp://127.0.0.1:1'], 'fake' => $fake, 'messenger' => ['transport' => 'async']]))
        ->withBundles(TwigBundle::class, WebProfilerBundle::class)
        ->withFramework([
            'profiler' => ['collect' => true],
            'form' => ['enabled' => true],
            'session' => false,
            'validation' => ['enabled' => true, 'enable_annotations' => true],
            'messenger' => ['transports' => ['async' => 'in-memory://']],
        ])
        ->withService(Autowired::class)->withService(Outcomes::class);
    $kernel->boot();
    if ($fake) {
        Fakes::get(FakeDecisionClient::class, 'default')->will('getDecision', Records::moderation());
    }
    $comment = new Comment();
    $comment->body = 'hello';
    $fake || $kernel->getContainer()->get('validator')->validate($comment);
    $fake || $kernel->getContainer()->get('validator')->validate(new Article('hello'));
    $response = $kernel->handle($request = Request::create('/nowhere'));
    $kernel->terminate($request, $response);
    $application = new Application($kernel);
    $application->setAutoExit(false);
    $commands = $fake
        ? ['lint:container' => [], 'switchyard:explain' => ['decision' => '0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42']]
        : [
            'lint:container' => [], 'debug:config' => ['name' => 'switchyard'], 'config:dump-reference' => ['name' => 'switchyard'], 'switchyard:ping' => [],
            'switchyard:doctor' => [], 'switchyard:moderate' => ['text' => 'a'], 'switchyard:route' => ['body' => 'a'], 'switchyard:classify' => ['text' => 'a', '-d' => 'topics'],
        ];
    foreach ($commands as $command => $arguments) {
        $application->run(new ArrayInput(['command' => $command] + $arguments), $output = new BufferedOutput());
        if (\str_contains($output->fetch(), 'There are no commands')) {
            throw new \LogicException('there is no command ' . $command);
        }
    }
}
echo \json_encode(['ours' => \array_values(\array_unique($ours)), 'provoked' => $provoked], \JSON_THROW_ON_ERROR);
