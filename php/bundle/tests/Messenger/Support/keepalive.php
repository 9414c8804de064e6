<?php

declare(strict_types=1);

namespace Symfony\Component\Messenger\Transport\Receiver;

use Symfony\Component\Messenger\Envelope;

interface KeepaliveReceiverInterface extends ReceiverInterface
{
    public function keepalive(Envelope $envelope, ?int $seconds = null): void;
}
