<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Tests\Support\Autowired;
use Switchyard\Bundle\Tests\Support\TestKernel;
use Switchyard\Moderation\V1\FakeModerationClient;
use Switchyard\Moderation\V1\ModerationClient;

/** What Flex puts into an application works as it is. */
final class RecipeTest extends TestCase
{
    private const RECIPE = __DIR__ . '/../recipe';

    /**
     * @param class-string $client
     *
     * @dataProvider environments
     */
    public function testTheConfigurationOfTheRecipeWorks(string $environment, string $client): void
    {
        $manifest = \json_decode((string) \file_get_contents(self::RECIPE . '/manifest.json'), true, 8, \JSON_THROW_ON_ERROR);
        foreach ($manifest['env'] as $name => $value) {
            $_ENV[$name] = $value;
        }
        foreach (\array_keys($manifest['bundles']) as $bundle) {
            self::assertTrue(\class_exists($bundle));
        }
        $kernel = (new TestKernel([], true, $environment))->withFile(self::RECIPE . '/config/packages/switchyard.yaml')->withService(Autowired::class);
        $kernel->boot();
        self::assertInstanceOf($client, $kernel->getContainer()->get(Autowired::class)->moderation);
    }

    /** @return iterable<string, array{string, class-string}> */
    public static function environments(): iterable
    {
        yield 'test' => ['test', FakeModerationClient::class];
        yield 'prod' => ['prod', ModerationClient::class];
    }
}
