<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Messenger\Support;

use Psr\Container\ContainerInterface;
use Psr\Log\LoggerInterface;
use Switchyard\Bundle\Messenger\Transport;
use Switchyard\Bundle\Messenger\TransportFactory;
use Switchyard\Client\Connection;
use Switchyard\Jobs\V1\TaskClient;
use Switchyard\Jobs\V1\TaskClientInterface;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;

/** Makes transports over a real connection, as the bundle does. */
final class Queue
{
    public static function client(string $socket, string $key): TaskClientInterface
    {
        return new TaskClient(Connection::open('unix://' . $socket, key: $key));
    }

    public static function factory(TaskClientInterface $client, string $spool, ?LoggerInterface $logger = null): TransportFactory
    {
        return new TransportFactory(new class($client) implements ContainerInterface {
            public function __construct(private readonly TaskClientInterface $client)
            {
            }

            public function get(string $id): TaskClientInterface
            {
                return $this->client;
            }

            public function has(string $id): bool
            {
                return 'default' === $id;
            }
        }, $spool, $logger);
    }

    public static function transport(TransportFactory $factory, string $options): Transport
    {
        $transport = $factory->createTransport('switchyard://default?' . $options, ['transport_name' => 'async'], new PhpSerializer());
        \assert($transport instanceof Transport);

        return $transport;
    }

    /** @return list<Envelope> */
    public static function take(Transport $transport): array
    {
        return \iterator_to_array($transport->get(), false);
    }
}
