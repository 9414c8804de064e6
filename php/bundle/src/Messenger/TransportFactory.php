<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger;

use Psr\Container\ContainerInterface;
use Psr\Log\LoggerInterface;
use Switchyard\Bundle\Messenger\Spool\Spool;
use Switchyard\Jobs\V1\TaskClientInterface;
use Symfony\Component\Messenger\Exception\InvalidArgumentException;
use Symfony\Component\Messenger\Transport\Receiver\KeepaliveReceiverInterface;
use Symfony\Component\Messenger\Transport\Serialization\SerializerInterface;
use Symfony\Component\Messenger\Transport\TransportFactoryInterface;
use Symfony\Component\Messenger\Transport\TransportInterface;

/** Makes transports for DSNs such as "switchyard://default?queue=mail"; see Settings. */
final class TransportFactory implements TransportFactoryInterface
{
    private readonly Retries $retries;

    /**
     * @param ContainerInterface $taskClients name of a configured client to its TaskClientInterface
     * @param string             $spoolDir    folder of this machine for messages that the server has not taken yet; all processes of the application share it
     */
    public function __construct(private readonly ContainerInterface $taskClients, private readonly string $spoolDir, private readonly ?LoggerInterface $logger = null)
    {
        $this->retries = new Retries();
    }

    /** @param array<string, mixed> $options */
    public function createTransport(#[\SensitiveParameter] string $dsn, array $options, SerializerInterface $serializer): TransportInterface
    {
        $settings = Settings::parse($dsn, $options);
        if (!$this->taskClients->has($settings->client)) {
            throw new InvalidArgumentException(\sprintf('The DSN of a Switchyard transport names the client "%s", which is not configured.', $settings->client));
        }
        $client = $this->taskClients->get($settings->client);
        \assert($client instanceof TaskClientInterface);
        $spool = new Spool($this->spoolDir . '/' . $settings->client, $settings->spoolMessages, $settings->spoolBytes, $this->logger);
        $sender = new Sender($client, $settings, $serializer, $spool, $this->retries, $this->logger);
        $receiver = new Receiver($client, $settings, $serializer, $spool, $this->retries, $this->logger, \usleep(...));
        $class = \interface_exists(KeepaliveReceiverInterface::class) ? KeepaliveTransport::class : Transport::class;

        return new $class($client, $sender, $receiver, $spool);
    }

    /** @param array<string, mixed> $options */
    public function supports(#[\SensitiveParameter] string $dsn, array $options): bool
    {
        return \str_starts_with($dsn, 'switchyard://');
    }
}
