<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\Message\Message;

/**
 * The receiving half of a stream.
 *
 * @internal
 */
trait Responses
{
    public function receive(?float $timeoutSeconds = null): ?Message
    {
        return $this->stream->cancelled() ? null : $this->stream->next($timeoutSeconds);
    }

    public function cancel(): void
    {
        $this->stream->cancel();
    }

    public function getIterator(): \Iterator
    {
        try {
            while (null !== $response = $this->receive()) {
                yield $response;
            }
        } finally {
            $this->stream->cancel(); // does nothing when the stream has ended
        }
    }
}
