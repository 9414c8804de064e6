<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Profiler;

use Switchyard\Client\BidiCall;
use Switchyard\Client\Message\Message;

/**
 * @internal counts what a bidirectional stream sends and receives
 *
 * @implements BidiCall<Message, Message>
 */
final class RecordedBidiCall implements BidiCall
{
    public function __construct(private readonly BidiCall $inner, private readonly RecordedCall $call)
    {
    }

    public function send(Message $request): void
    {
        $this->inner->send($request);
        $this->call->sent($request);
    }

    public function closeSend(): void
    {
        $this->inner->closeSend();
    }

    public function receive(?float $timeoutSeconds = null): ?Message
    {
        $response = $this->inner->receive($timeoutSeconds);
        null === $response || $this->call->received($response);

        return $response;
    }

    public function cancel(): void
    {
        $this->inner->cancel();
    }

    public function getIterator(): \Iterator
    {
        foreach ($this->inner as $response) {
            $this->call->received($response);
            yield $response;
        }
    }
}
