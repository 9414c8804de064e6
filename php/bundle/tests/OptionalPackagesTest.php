<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\Tests\Support\Folder;

/** The bundle where packages are not installed: a kernel in a process of its own that cannot load them. */
final class OptionalPackagesTest extends TestCase
{
    /** Each with those that cannot be without it. */
    private const PACKAGES = [
        'validator' => ['Symfony\Component\Validator'],
        'messenger' => ['Symfony\Component\Messenger'],
        'form and property-access' => ['Symfony\Component\Form', 'Symfony\Component\PropertyAccess'],
        'stopwatch and profiler' => ['Symfony\Component\Stopwatch', 'Symfony\Bundle\WebProfilerBundle', 'Twig'],
        'console' => ['Symfony\Component\Console'],
        'translation, yaml and monolog' => ['Symfony\Component\Translation', 'Symfony\Component\Yaml', 'Monolog', 'Symfony\Bridge\Monolog'],
    ];

    /**
     * @param list<string> $without
     *
     * @dataProvider packages
     */
    public function testTheContainerCompilesWithout(array $without): void
    {
        $process = \proc_open(
            [\PHP_BINARY, __DIR__ . '/Support/without.php'],
            [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']],
            $pipes,
            Folder::make(),
            ['SYMFONY_WITHOUT' => \implode(',', $without)] + \getenv(),
        );
        $out = \stream_get_contents($pipes[1]) . \stream_get_contents($pipes[2]);
        self::assertSame(0, \proc_close($process), $out);
        $has = \json_decode((string) $out, true, 8, \JSON_THROW_ON_ERROR);

        self::assertSame('Switchyard\Moderation\V1\ModerationClient', $has['client']);
        self::assertSame('unavailable', $has['moderation']);
        self::assertSame(!\in_array('Symfony\Component\Validator', $without, true), $has['validator']);
        self::assertSame(!\in_array('Symfony\Component\Messenger', $without, true), $has['queue']);
        self::assertSame(!\in_array('Symfony\Component\Console', $without, true), $has['commands']);
    }

    /** @return iterable<string, array{list<string>}> */
    public static function packages(): iterable
    {
        yield 'nothing missing' => [[]];
        foreach (self::PACKAGES as $name => $namespaces) {
            yield $name => [$namespaces];
        }
        yield 'all of them' => [\array_merge(...\array_values(self::PACKAGES))];
    }
}
