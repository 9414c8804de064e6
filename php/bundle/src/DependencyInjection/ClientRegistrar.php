<?php

declare(strict_types=1);

namespace Switchyard\Bundle\DependencyInjection;

use Switchyard\Bundle\Client\Clients;
use Switchyard\Bundle\Client\ConnectionFactory;
use Switchyard\Bundle\Test\Fakes;
use Switchyard\Client\Transport;
use Switchyard\Jobs\V1\TaskClientInterface;
use Symfony\Component\DependencyInjection\Argument\ServiceLocatorArgument;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Exception\InvalidArgumentException;
use Symfony\Component\DependencyInjection\Reference;

/**
 * Registers a connection for every configured client, and for every service of the manifests a client on each connection. With the default client called
 * "default" and another called "archive":
 *
 *     Switchyard\Moderation\V1\ModerationClient                       the service of the default client
 *     Switchyard\Moderation\V1\ModerationClientInterface              its alias
 *     Switchyard\Moderation\V1\ModerationClient.archive               the service of "archive"
 *     Switchyard\Moderation\V1\ModerationClientInterface $archive     its alias: #[Target('archive')]
 */
final class ClientRegistrar
{
    /** @var array<string, Reference> "name:interface" to client */
    private array $locator = [];

    /** @var array<string, string> interface to the manifest that named it */
    private array $seen = [];

    /** @param array<string, mixed> $config */
    public function __construct(private readonly ContainerBuilder $container, private readonly array $config)
    {
    }

    /** @param list<Manifest> $manifests */
    public function register(array $manifests): void
    {
        foreach ($this->config['clients'] as $name => $client) {
            $this->connection($name, $client);
        }
        foreach ($manifests as $manifest) {
            foreach ($manifest->services as $service) {
                if (isset($this->seen[$service['interface']])) {
                    throw new InvalidArgumentException(\sprintf('switchyard.manifests: %s names %s, which %s named before.', $manifest->file, $service['interface'], $this->seen[$service['interface']]));
                }
                $this->seen[$service['interface']] = $manifest->file;
                foreach (\array_keys($this->config['clients']) as $name) {
                    $this->client($name, $service);
                }
            }
        }
        $names = \array_keys($this->config['clients']);
        $this->container->getDefinition(Clients::class)->setArguments([new ServiceLocatorArgument($this->locator), $names, $this->config['default_client']]);
    }

    /** A service locator from client name to its TaskClientInterface. */
    public function taskClients(): ServiceLocatorArgument
    {
        $clients = [];
        foreach (\array_keys($this->config['clients']) as $name) {
            $clients[$name] = $this->locator[$name . ':' . TaskClientInterface::class];
        }

        return new ServiceLocatorArgument($clients);
    }

    /** @param array<string, mixed> $client */
    private function connection(string $name, array $client): void
    {
        $definition = new Definition(Transport::class, [
            $name, $client['dsn'], $client['key'], $client['tls'], $client['timeout'], $client['connect_timeout'], $client['retries'],
            $client['circuit_breaker'], $client['compression'],
        ]);
        $definition->setFactory([new Reference(ConnectionFactory::class), 'open']);
        $this->container->setDefinition('switchyard.connection.' . $name, $definition);
        if ($this->config['fake']) {
            return; // Nothing refers to it then, but Symfony insists that environment variables are used.
        }
        if ($name === $this->config['default_client']) {
            $this->container->setAlias(Transport::class, 'switchyard.connection.' . $name);
        }
        $this->container->registerAliasForArgument('switchyard.connection.' . $name, Transport::class, $name);
    }

    /** @param array{interface: class-string, client: class-string, fake: class-string} $service */
    private function client(string $name, array $service): void
    {
        $isDefault = $name === $this->config['default_client'];
        $id = $service['client'] . ($isDefault ? '' : '.' . $name);
        if ($this->config['fake']) {
            $definition = (new Definition($service['fake'], [$service['fake'], $name]))->setFactory([Fakes::class, 'get'])->setPublic(true);
        } else {
            $definition = new Definition($service['client'], [new Reference('switchyard.connection.' . $name)]);
        }
        $this->container->setDefinition($id, $definition);
        if ($isDefault) {
            $this->container->setAlias($service['interface'], $id)->setPublic($this->config['fake']);
        }
        $this->container->registerAliasForArgument($id, $service['interface'], $name)->setPublic($this->config['fake']);
        $this->locator[$name . ':' . $service['interface']] = new Reference($id);
    }
}
