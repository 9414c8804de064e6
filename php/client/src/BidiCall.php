<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\Message\Message;

/**
 * A call in which both sides send at any time. foreach over it yields the responses.
 *
 * @template TRequest of Message
 * @template TResponse of Message
 *
 * @extends ServerStreamCall<TResponse>
 */
interface BidiCall extends ServerStreamCall
{
    /**
     * @param TRequest $request
     *
     * @throws RpcException when the server has already ended the call
     */
    public function send(Message $request): void;

    /** Says that no more requests follow; responses may still come. */
    public function closeSend(): void;
}
