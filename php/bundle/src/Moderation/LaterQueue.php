<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

use Psr\Log\LoggerInterface;
use Symfony\Component\Messenger\MessageBusInterface;
use Symfony\Component\Messenger\Stamp\DelayStamp;

/** Hands texts to Messenger, which keeps them until they are moderated. */
final class LaterQueue
{
    /** @param bool $routed whether ModerateLater goes to a transport; otherwise it would be handled at once, in vain */
    public function __construct(
        private readonly ?MessageBusInterface $bus,
        private readonly int $delayMillis,
        public readonly bool $routed = false,
        private readonly ?LoggerInterface $logger = null,
    ) {
    }

    /**
     * @return bool false when the transport did not take it; then the text is not kept
     *
     * @throws \LogicException when the application routes it nowhere
     */
    public function push(ModerateLater $message): bool
    {
        if (null === $this->bus || !$this->routed) {
            throw new \LogicException('onUnavailable is "queue", but Switchyard\Bundle\Moderation\ModerateLater is routed to no Messenger transport: set switchyard.messenger.transport, or route it in framework.messenger.routing.');
        }
        try {
            $this->bus->dispatch($message, $this->delayMillis > 0 ? [new DelayStamp($this->delayMillis)] : []);
        } catch (\Exception $e) {
            // Each transport throws what its storage throws. A text that nobody keeps must not be accepted.
            $this->logger?->error('text {reference} could not be queued: {message}', ['reference' => $message->reference, 'message' => $e->getMessage(), 'exception' => $e]);

            return false;
        }

        return true;
    }
}
