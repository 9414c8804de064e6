<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\Message\Message;

/**
 * Responses that arrive one by one: foreach over it, or receive(). Leaving the foreach
 * early cancels the call.
 *
 * @template TResponse of Message
 *
 * @extends \IteratorAggregate<int, TResponse>
 */
interface ServerStreamCall extends \IteratorAggregate
{
    /**
     * Waits for the next response.
     *
     * @param ?float $timeoutSeconds how long at most; null until the deadline of the call
     *
     * @return TResponse|null null when the stream has ended
     *
     * @throws RpcException
     */
    public function receive(?float $timeoutSeconds = null): ?Message;

    /** Tells the server to stop; later receive() calls return null. */
    public function cancel(): void;

    /** @return \Iterator<int, TResponse> */
    public function getIterator(): \Iterator;
}
