<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Client\Clients;
use Switchyard\Bundle\Client\ConnectionFactory;
use Switchyard\Bundle\DependencyInjection\SwitchyardExtension;
use Switchyard\Bundle\Moderation\ModerationResults;
use Switchyard\Bundle\Moderation\Moderator;
use Switchyard\Bundle\Moderation\TextToModerate;
use Switchyard\Bundle\Tests\Support\Autowired;
use Switchyard\Bundle\Tests\Support\CountingMiddleware;
use Switchyard\Bundle\Tests\Support\TestKernel;
use Switchyard\Client\Failure\ConfigurationException;
use Switchyard\Client\Failure\UnreachableException;
use Switchyard\Moderation\V1\FakeModerationClient;
use Switchyard\Moderation\V1\ListRulesRequest;
use Switchyard\Moderation\V1\ModerationClient;
use Switchyard\Moderation\V1\ModerationClientInterface;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Tester\ApplicationTester;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Exception\InvalidArgumentException;
use Test\Service\V1\FakeShopClient;
use Test\Service\V1\ShopClient;
use Test\Service\V1\ShopClientInterface;

final class ContainerTest extends TestCase
{
    private const CONTRACTS = __DIR__ . '/../../../cmd/protoc-gen-php-switchyard/testdata';

    /** Of its own for each test: the circuit breaker remembers failures of an address. */
    private string $dsn;

    protected function setUp(): void
    {
        $this->dsn = 'unix:///nowhere/' . \bin2hex(\random_bytes(4)) . '.sock';
    }

    public function testEveryServiceOfTheManifestIsInjectedByItsInterface(): void
    {
        $manifest = require \dirname(__DIR__, 3) . '/gen/php/manifest.php';
        self::assertGreaterThan(6, \count($manifest['services']));
        $kernel = self::kernel(['dsn' => $this->dsn]);
        $kernel->with(static function (ContainerBuilder $container) use ($manifest): void {
            foreach ($manifest['services'] as $service) {
                $container->setAlias('test.' . $service['client'], $service['interface'])->setPublic(true);
            }
        })->boot();
        foreach ($manifest['services'] as $service) {
            self::assertInstanceOf($service['client'], $kernel->getContainer()->get('test.' . $service['client']));
        }
    }

    public function testClientsAreInjectedByTheirNames(): void
    {
        $kernel = self::kernel(['default_client' => 'live', 'clients' => ['live' => $this->dsn, 'archive' => 'tcp://127.0.0.1:1']])->withService(Autowired::class);
        $kernel->boot();
        $service = $kernel->getContainer()->get(Autowired::class);
        $clients = $kernel->getContainer()->get(Clients::class);

        self::assertSame($clients->get(ModerationClientInterface::class, 'live'), $service->moderation);
        self::assertSame($clients->get(ModerationClientInterface::class, 'archive'), $service->archive);
        self::assertNotSame($service->moderation, $service->archive);
        self::assertMatchesRegularExpression('~tcp://127.0.0.1:1~', self::failure(UnreachableException::class, static fn () => $service->archive->listRules(new ListRulesRequest())));
        self::assertMatchesRegularExpression('~unix:///nowhere/~', self::failure(UnreachableException::class, static fn () => $service->moderation->listRules(new ListRulesRequest())));
        self::assertStringContainsString('configured are: live, archive', self::failure(ConfigurationException::class, static fn () => $clients->get(ModerationClientInterface::class, 'other')));
    }

    public function testValuesMayBeEnvironmentVariablesThatAreReadWhenACallIsMade(): void
    {
        $kernel = self::kernel(['clients' => ['default' => [
            'dsn' => '%env(TEST_DSN)%', 'key' => '%env(default::TEST_KEY)%', 'timeout' => '%env(int:TEST_TIMEOUT)%', 'retries' => '%env(int:TEST_RETRIES)%',
            'circuit_breaker' => '%env(bool:TEST_BREAKER)%', 'tls' => ['ca' => '%env(default::TEST_CA)%'],
        ]], 'moderation' => ['timeout' => '%env(int:TEST_TIMEOUT)%']])->withService(Autowired::class);
        $_ENV += ['TEST_TIMEOUT' => '100', 'TEST_RETRIES' => '0', 'TEST_BREAKER' => '0'];
        $_ENV['TEST_DSN'] = 'ftp://example';
        $kernel->boot();
        $message = self::failure(ConfigurationException::class, static fn () => $kernel->getContainer()->get(Autowired::class));
        self::assertStringContainsString('client "default": DSN "ftp://example" is none of unix:///path/of.sock', $message);

        $_ENV['TEST_DSN'] = '';
        $kernel->shutdown();
        $kernel->boot();
        self::assertStringContainsString('the DSN is empty', self::failure(ConfigurationException::class, static fn () => $kernel->getContainer()->get(Autowired::class)));

        $_ENV['TEST_DSN'] = $this->dsn;
        $kernel->shutdown();
        $kernel->boot();
        self::assertInstanceOf(ModerationClient::class, $kernel->getContainer()->get(Autowired::class)->moderation);
    }

    public function testServicesArePrivateAndTheClientsAreUnderTheirClassNames(): void
    {
        $container = new ContainerBuilder();
        $container->setParameter('kernel.debug', true);
        (new SwitchyardExtension())->load([['dsn' => $this->dsn]], $container);

        self::assertTrue($container->hasDefinition(ModerationClient::class));
        self::assertSame(ModerationClient::class, (string) $container->getAlias(ModerationClientInterface::class));
        foreach ($container->getDefinitions() as $id => $definition) {
            self::assertTrue('service_container' === $id || !$definition->isPublic(), $id . ' is public');
            self::assertMatchesRegularExpression('/^(Switchyard\\\\|switchyard\.connection\.|service_container)/', $id);
        }
    }

    public function testFakesStandInForEveryClientUnderTest(): void
    {
        $kernel = self::kernel(['dsn' => $this->dsn, 'fake' => true])->withService(Autowired::class);
        $kernel->boot();
        self::assertInstanceOf(FakeModerationClient::class, $kernel->getContainer()->get(Autowired::class)->moderation);
        self::assertSame($kernel->getContainer()->get(ModerationClientInterface::class), $kernel->getContainer()->get(Autowired::class)->moderation);
    }

    /** @dataProvider fakes */
    public function testClientsOfTheApplicationsOwnContractsAreInjectedToo(bool $fake): void
    {
        $kernel = self::kernel(['dsn' => $this->dsn, 'fake' => $fake, 'manifests' => [self::CONTRACTS . '/service/php/manifest.php', self::CONTRACTS . '/shapes/php/manifest.php']]);
        $kernel->with(static fn (ContainerBuilder $container) => $container->setAlias('test.shop', ShopClientInterface::class)->setPublic(true))->boot();
        self::assertInstanceOf($fake ? FakeShopClient::class : ShopClient::class, $kernel->getContainer()->get('test.shop'));
    }

    /** @return iterable<string, array{bool}> */
    public static function fakes(): iterable
    {
        yield 'real' => [false];
        yield 'fake' => [true];
    }

    public function testAManifestThatCannotBeUsedIsExplained(): void
    {
        $message = self::failure(InvalidArgumentException::class, fn () => self::kernel(['dsn' => $this->dsn, 'manifests' => ['/nowhere/manifest.php']])->boot());
        self::assertSame('switchyard.manifests: there is no file /nowhere/manifest.php.', $message);
        $own = \dirname(__DIR__, 3) . '/gen/php/manifest.php';
        $message = self::failure(InvalidArgumentException::class, fn () => self::kernel(['dsn' => $this->dsn, 'manifests' => [$own]])->boot());
        self::assertStringContainsString('which ' . $own . ' named before', $message);
        $message = self::failure(InvalidArgumentException::class, fn () => self::kernel(['dsn' => $this->dsn, 'manifests' => [__DIR__ . '/Support/routes.php']])->boot());
        self::assertStringContainsString('does not return a manifest', $message);
    }

    public function testMiddlewareOfTheApplicationStandsAroundEveryCall(): void
    {
        $kernel = self::kernel(['dsn' => $this->dsn])->withService(CountingMiddleware::class)->withService(Autowired::class);
        $kernel->boot();
        self::failure(UnreachableException::class, static fn () => $kernel->getContainer()->get(Autowired::class)->moderation->listRules(new ListRulesRequest()));
        self::assertSame(['/switchyard.moderation.v1.ModerationService/ListRules'], $kernel->getContainer()->get(CountingMiddleware::class)->paths);
    }

    public function testFailedCallsAreLoggedInTheChannelSwitchyard(): void
    {
        $kernel = self::kernel(['dsn' => $this->dsn])->withService(Autowired::class);
        $kernel->boot();
        self::failure(UnreachableException::class, static fn () => $kernel->getContainer()->get(Autowired::class)->moderation->listRules(new ListRulesRequest()));
        self::assertSame('warning', $kernel->getContainer()->get('logger')->records[0][0]);

        $container = new ContainerBuilder();
        $container->setParameter('kernel.debug', false);
        (new SwitchyardExtension())->load([['dsn' => $this->dsn]], $container);
        foreach ($container->findTaggedServiceIds('monolog.logger') as $tags) {
            self::assertSame([['channel' => 'switchyard']], $tags);
        }
        self::assertArrayHasKey(ConnectionFactory::class, $container->findTaggedServiceIds('monolog.logger'));
    }

    public function testWhatARequestLearnedIsForgottenAfterIt(): void
    {
        $kernel = self::kernel(['dsn' => $this->dsn]);
        $kernel->boot();
        $results = $kernel->getContainer()->get(ModerationResults::class);
        $kernel->getContainer()->get(Moderator::class)->moderate(new TextToModerate('hello'));
        self::assertNotNull($results->ofText('hello'));
        $kernel->getContainer()->get('services_resetter')->reset();
        self::assertNull($results->ofText('hello'));
    }

    /** @dataProvider modes */
    public function testTheContainerIsSound(bool $debug, bool $fake): void
    {
        $kernel = self::kernel(['clients' => ['default' => $this->dsn, 'archive' => ['dsn' => '%env(TEST_DSN)%', 'timeout' => 10]], 'fake' => $fake], $debug)
            ->withFramework(['messenger' => ['transports' => ['async' => 'in-memory://']], 'validation' => ['enabled' => true], 'form' => ['enabled' => true]])
            ->withService(Autowired::class);
        $_ENV['TEST_DSN'] = $this->dsn;
        $application = new Application($kernel);
        $application->setAutoExit(false);
        $tester = new ApplicationTester($application);
        self::assertSame(0, $tester->run(['command' => 'lint:container']), $tester->getDisplay());
        self::assertSame(0, $tester->run(['command' => 'debug:container', '--deprecations' => true]), $tester->getDisplay());
        $tester->run(['command' => 'debug:autowiring', 'search' => 'Switchyard']);
        self::assertStringContainsString('Switchyard\Moderation\V1\ModerationClientInterface $archive', $tester->getDisplay());
    }

    /** @return iterable<string, array{bool, bool}> */
    public static function modes(): iterable
    {
        yield 'debug' => [true, false];
        yield 'production' => [false, false];
        yield 'fakes' => [true, true];
    }

    /** @param array<string, mixed> $config */
    private static function kernel(array $config, bool $debug = true): TestKernel
    {
        return new TestKernel($config, $debug);
    }

    /** @param class-string<\Throwable> $class */
    private static function failure(string $class, \Closure $do): string
    {
        try {
            $do();
        } catch (\Throwable $e) {
            self::assertInstanceOf($class, $e);

            return $e->getMessage();
        }
        self::fail('nothing was thrown');
    }
}
