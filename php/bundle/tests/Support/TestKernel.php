<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use Psr\Log\LoggerInterface;
use Switchyard\Bundle\SwitchyardBundle;
use Switchyard\Client\Tests\Support\Folder;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Component\Config\Loader\LoaderInterface;
use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\Compiler\PassConfig;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\HttpKernel\Kernel;

/** A small application around the bundle. Each has a folder of its own, so nothing is shared between tests. */
final class TestKernel extends Kernel implements CompilerPassInterface
{
    private readonly string $dir;

    /** @var array<string, mixed> */
    private array $framework = [];

    /** @var list<class-string> */
    private array $moreBundles = [];

    /** @var list<string> */
    private array $files = [];

    /** @var list<\Closure(ContainerBuilder): void> */
    private array $builders = [];

    /**
     * @param array<string, mixed> $config of "switchyard"
     * @param ?string              $dir    where cache and logs are; null for a new folder that goes with the process
     */
    public function __construct(private readonly array $config, bool $debug = true, string $environment = 'test', ?string $dir = null)
    {
        $this->dir = $dir ?? Folder::make();
        parent::__construct($environment, $debug);
    }

    /** @param array<string, mixed> $config of "framework" */
    public function withFramework(array $config): self
    {
        $this->framework = \array_replace_recursive($this->framework, $config);

        return $this;
    }

    /** @param class-string ...$bundles */
    public function withBundles(string ...$bundles): self
    {
        $this->moreBundles = [...$this->moreBundles, ...$bundles];

        return $this;
    }

    /**
     * Registers services of the application.
     *
     * @param \Closure(ContainerBuilder): void $build
     */
    public function with(\Closure $build): self
    {
        $this->builders[] = $build;

        return $this;
    }

    /** Loads a configuration file. */
    public function withFile(string $file): self
    {
        $this->files[] = $file;

        return $this;
    }

    /** Registers an autowired public service. */
    public function withService(string $class): self
    {
        return $this->with(static function (ContainerBuilder $container) use ($class): void {
            $container->register($class, $class)->setAutowired(true)->setAutoconfigured(true)->setPublic(true);
        });
    }

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
        foreach ($this->moreBundles as $bundle) {
            yield new $bundle();
        }
        yield new SwitchyardBundle();
    }

    public function registerContainerConfiguration(LoaderInterface $loader): void
    {
        foreach ($this->files as $file) {
            $loader->load($file);
        }
        $loader->load(function (ContainerBuilder $container): void {
            $container->loadFromExtension('framework', \array_replace_recursive([
                'secret' => 'test',
                'test' => true,
                'http_method_override' => false,
                'router' => ['resource' => __DIR__ . '/routes.php', 'utf8' => true, 'type' => 'php'],
            ], $this->framework));
            if ([] !== $this->config) {
                $container->loadFromExtension('switchyard', $this->config);
            }
            $container->register('logger', TestLogger::class)->setPublic(true);
            $container->setAlias(LoggerInterface::class, 'logger');
            foreach ($this->builders as $build) {
                $build($container);
            }
        });
    }

    protected function build(ContainerBuilder $container): void
    {
        $container->addCompilerPass($this, PassConfig::TYPE_BEFORE_REMOVING, -100);
    }

    /** Makes the bundle's own services public, and some of Symfony's, so that tests can look at them. */
    public function process(ContainerBuilder $container): void
    {
        foreach (['form.factory', 'validator', 'profiler', 'messenger.default_bus', 'event_dispatcher', 'translator', 'messenger.receiver_locator', 'services_resetter'] as $id) {
            if ($container->hasAlias($id)) {
                $container->getAlias($id)->setPublic(true);
            } elseif ($container->hasDefinition($id)) {
                $container->getDefinition($id)->setPublic(true);
            }
        }
        foreach ($container->getDefinitions() as $id => $definition) {
            if (\str_starts_with($id, 'Switchyard\\') && !$definition->isAbstract()) {
                $definition->setPublic(true);
            }
        }
    }

    public function getProjectDir(): string
    {
        return $this->dir;
    }

    public function getCacheDir(): string
    {
        return $this->dir . '/cache';
    }

    public function getLogDir(): string
    {
        return $this->dir . '/log';
    }
}
