<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\Message\Message;

/** Something around every call. The first in the list of a Pipeline is outermost. */
interface Middleware
{
    /**
     * Around a call with one request and one response.
     *
     * @param \Closure(Message, CallOptions): Message $next makes the call; may be called more than once
     *
     * @throws RpcException
     */
    public function unary(MethodDescriptor $method, Message $request, CallOptions $options, \Closure $next): Message;

    /**
     * Around the opening of a stream. What happens to it later is told to CallOptions::withObserver().
     *
     * @template TCall of ServerStreamCall|ClientStreamCall
     *
     * @param \Closure(CallOptions): TCall $next
     *
     * @return TCall
     *
     * @throws RpcException
     */
    public function stream(MethodDescriptor $method, CallOptions $options, \Closure $next): ServerStreamCall|ClientStreamCall;
}
