<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\Message\Message;

/**
 * A call that sends many requests and then gets one response.
 *
 * @template TRequest of Message
 * @template TResponse of Message
 */
interface ClientStreamCall
{
    /**
     * @param TRequest $request
     *
     * @throws RpcException when the server has already ended the call
     */
    public function send(Message $request): void;

    /**
     * Says that no more requests follow and waits for the response.
     *
     * @return TResponse
     *
     * @throws RpcException
     */
    public function closeAndReceive(): Message;

    public function cancel(): void;
}
