<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Client;

use Psr\Container\ContainerInterface;
use Switchyard\Client\Failure\ConfigurationException;

/** The generated clients by interface and name, for code that learns at run time which one it needs. Otherwise inject the interface. */
final class Clients
{
    /**
     * @param ContainerInterface $locator "name:interface" to the client
     * @param list<string>       $names   of the configured clients
     */
    public function __construct(
        private readonly ContainerInterface $locator,
        public readonly array $names,
        public readonly string $default,
    ) {
    }

    /**
     * @template T of object
     *
     * @param class-string<T> $interface of a generated client, such as ModerationClientInterface::class
     * @param ?string         $name      null for the default client
     *
     * @return T
     *
     * @throws ConfigurationException when there is no such client
     */
    public function get(string $interface, ?string $name = null): object
    {
        $name ??= $this->default;
        if (!\in_array($name, $this->names, true)) {
            throw new ConfigurationException(\sprintf('There is no Switchyard client "%s"; configured are: %s.', $name, \implode(', ', $this->names)));
        }
        $key = $name . ':' . $interface;
        if (!$this->locator->has($key)) {
            throw new ConfigurationException(\sprintf('No manifest names a client for %s; see switchyard.manifests.', $interface));
        }

        return $this->locator->get($key);
    }
}
