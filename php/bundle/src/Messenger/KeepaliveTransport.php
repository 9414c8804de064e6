<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger;

use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Transport\Receiver\KeepaliveReceiverInterface;

/** A transport whose leases are prolonged while a handler works: messenger:consume --keepalive. For Messenger 7.2 and later. */
final class KeepaliveTransport extends Transport implements KeepaliveReceiverInterface
{
    public function keepalive(Envelope $envelope, ?int $seconds = null): void
    {
        $this->receiver->keepalive($envelope, $seconds);
    }
}
