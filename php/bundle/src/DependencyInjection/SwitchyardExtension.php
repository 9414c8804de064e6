<?php

declare(strict_types=1);

namespace Switchyard\Bundle\DependencyInjection;

use Switchyard\Bundle\Client\ConnectionFactory;
use Switchyard\Bundle\Command\DoctorCommand;
use Switchyard\Bundle\Command\ModerateCommand;
use Switchyard\Bundle\Messenger\TransportFactory;
use Switchyard\Bundle\Moderation\LaterQueue;
use Switchyard\Bundle\Moderation\ModerateLater;
use Switchyard\Bundle\Moderation\Moderator;
use Switchyard\Bundle\Moderation\OnUnavailable;
use Switchyard\Bundle\Profiler\CallRecorder;
use Switchyard\Bundle\Profiler\Payload;
use Switchyard\Bundle\Profiler\SwitchyardDataCollector;
use Switchyard\Client\Middleware;
use Symfony\Component\Config\FileLocator;
use Symfony\Component\Config\Resource\FileResource;
use Symfony\Component\Console\Application;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\DependencyInjection\Extension\Extension;
use Symfony\Component\DependencyInjection\Extension\PrependExtensionInterface;
use Symfony\Component\DependencyInjection\Loader\PhpFileLoader;
use Symfony\Component\DependencyInjection\Reference;
use Symfony\Component\Messenger\MessageBusInterface;
use Symfony\Component\Validator\ConstraintValidator;

/** Turns the configuration into services. Each optional package has a file of its own in config/, loaded where the package is installed. */
final class SwitchyardExtension extends Extension implements PrependExtensionInterface
{
    /** Routes ModerateLater to the transport that "switchyard.messenger.transport" names. */
    public function prepend(ContainerBuilder $container): void
    {
        if (!$container->hasExtension('framework') || !\interface_exists(MessageBusInterface::class)) {
            return;
        }
        $transport = null;
        foreach ($container->getExtensionConfig('switchyard') as $config) {
            $transport = $config['messenger']['transport'] ?? $transport;
        }
        if (null !== $transport) {
            $container->prependExtensionConfig('framework', ['messenger' => ['routing' => [ModerateLater::class => $transport]]]);
        }
    }

    /** @param array<mixed> $configs */
    public function load(array $configs, ContainerBuilder $container): void
    {
        $config = $this->processConfiguration(new Configuration((bool) $container->getParameter('kernel.debug')), $configs);
        $loader = new PhpFileLoader($container, new FileLocator(\dirname(__DIR__, 2) . '/config'));
        $loader->load('services.php');
        $container->registerForAutoconfiguration(Middleware::class)->addTag('switchyard.middleware');

        $clients = new ClientRegistrar($container, $config);
        $clients->register($this->manifests($config['manifests'], $container));
        $this->moderation($config, $container);
        if ($config['profiler']['enabled'] && !$config['fake']) {
            $loader->load('profiler.php');
            $this->profiler($config['profiler'], $config['default_client'], $container);
        }
        if (\class_exists(Application::class)) {
            $loader->load('console.php');
            $container->getDefinition(ModerateCommand::class)->setArgument('$deployment', $config['moderation']['deployment']);
            $container->getDefinition(DoctorCommand::class)
                ->setArgument('$dsns', \array_map(static fn (array $client): string => $client['dsn'], $config['clients']))
                ->setArgument('$onUnavailable', OnUnavailable::from($config['moderation']['on_unavailable']))
                ->setArgument('$fake', $config['fake']);
        }
        if (\class_exists(ConstraintValidator::class)) {
            $loader->load('validator.php');
        }
        if (\interface_exists(MessageBusInterface::class)) {
            $loader->load('messenger.php');
            $this->messenger($config['messenger'], $clients, $container);
        }
    }

    /** @param array<mixed> $config */
    public function getConfiguration(array $config, ContainerBuilder $container): Configuration
    {
        return new Configuration((bool) $container->getParameter('kernel.debug'));
    }

    /**
     * @param list<string> $files
     *
     * @return list<Manifest>
     */
    private function manifests(array $files, ContainerBuilder $container): array
    {
        $manifests = [Manifest::own()];
        foreach ($files as $file) {
            $manifests[] = Manifest::read((string) $container->getParameterBag()->resolveValue($file));
        }
        foreach ($manifests as $manifest) {
            $container->addResource(new FileResource($manifest->file));
        }

        return $manifests;
    }

    /** @param array<string, mixed> $config */
    private function moderation(array $config, ContainerBuilder $container): void
    {
        $container->getDefinition(Moderator::class)
            ->setArgument('$client', $config['moderation']['client'])
            ->setArgument('$deployment', $config['moderation']['deployment'])
            ->setArgument('$timeoutMillis', $config['moderation']['timeout'])
            ->setArgument('$onUnavailable', OnUnavailable::from($config['moderation']['on_unavailable']));
    }

    /** @param array<string, mixed> $config */
    private function profiler(array $config, string $defaultClient, ContainerBuilder $container): void
    {
        $container->getDefinition(Payload::class)->setArguments([$config['max_payload']]);
        $container->getDefinition(CallRecorder::class)->setArgument('$maxCalls', $config['max_calls']);
        $container->getDefinition(SwitchyardDataCollector::class)->setArgument('$decisionUrl', $config['decision_url'])->setArgument('$defaultClient', $defaultClient);
        $container->getDefinition(ConnectionFactory::class)->setArgument('$recorder', new Reference(CallRecorder::class));
    }

    /** @param array<string, mixed> $config */
    private function messenger(array $config, ClientRegistrar $clients, ContainerBuilder $container): void
    {
        // Messenger may be installed but not configured; a bus that is named must exist.
        $bus = null === $config['bus'] ? new Reference('messenger.default_bus', ContainerInterface::NULL_ON_INVALID_REFERENCE) : new Reference($config['bus']);
        $container->getDefinition(LaterQueue::class)->setArgument('$bus', $bus)->setArgument('$delayMillis', $config['delay']);
        if (\class_exists(TransportFactory::class)) {
            $container->register(TransportFactory::class)
                ->setArguments([$clients->taskClients(), $config['spool_dir'], new Reference('logger', ContainerInterface::NULL_ON_INVALID_REFERENCE)])
                ->addTag('messenger.transport_factory')
                ->addTag('monolog.logger', ['channel' => 'switchyard']);
        }
    }
}
