<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger;

use Switchyard\Bundle\Messenger\Spool\Spool;
use Switchyard\Client\RpcException;
use Switchyard\Jobs\V1\TaskClientInterface;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Transport\Receiver\MessageCountAwareInterface;
use Symfony\Component\Messenger\Transport\SetupableTransportInterface;
use Symfony\Component\Messenger\Transport\TransportInterface;

/**
 * Messages as tasks in a queue of a Switchyard server. Where Messenger knows receivers that keep messages alive (7.2 and later), the transport is a KeepaliveTransport.
 */
class Transport implements TransportInterface, MessageCountAwareInterface, SetupableTransportInterface
{
    /** @internal the factory makes transports */
    final public function __construct(
        private readonly TaskClientInterface $client,
        private readonly Sender $sender,
        protected readonly Receiver $receiver,
        private readonly Spool $spool,
    ) {
    }

    public function send(Envelope $envelope): Envelope
    {
        return $this->sender->send($envelope);
    }

    public function get(): iterable
    {
        return $this->receiver->get();
    }

    public function ack(Envelope $envelope): void
    {
        $this->receiver->ack($envelope);
    }

    public function reject(Envelope $envelope): void
    {
        $this->receiver->reject($envelope);
    }

    public function getMessageCount(): int
    {
        return $this->receiver->getMessageCount();
    }

    /** Makes the folder for messages that wait, hands over those that do, and sees to it that the server answers. A queue itself needs no setting up. */
    public function setup(): void
    {
        $this->spool->setup();
        $this->receiver->getMessageCount();
        try {
            $this->spool->forward($this->client, \PHP_INT_MAX, \PHP_INT_MAX);
        } catch (RpcException $e) {
            throw Failure::wrap('Messages that wait on this machine could not be handed over', $e);
        }
    }
}
