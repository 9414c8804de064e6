<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\Message\Message;

/**
 * Carries calls to a server. Generated clients know nothing else: which protocol, which
 * socket, retries and middleware are the business of the implementation.
 *
 * An implementation applies the method's deadline unless the options have their own, and
 * turns a failed call into RpcException::of() with the method's exception factory.
 */
interface Transport
{
    /**
     * One request, one response.
     *
     * @template TResponse of Message
     *
     * @param MethodDescriptor<TResponse> $method
     *
     * @return TResponse
     *
     * @throws RpcException
     */
    public function unary(MethodDescriptor $method, Message $request, CallOptions $options): Message;

    /**
     * One request, many responses.
     *
     * @template TResponse of Message
     *
     * @param MethodDescriptor<TResponse> $method
     *
     * @return ServerStreamCall<TResponse>
     *
     * @throws RpcException
     */
    public function serverStream(MethodDescriptor $method, Message $request, CallOptions $options): ServerStreamCall;

    /**
     * Many requests, one response.
     *
     * @template TResponse of Message
     *
     * @param MethodDescriptor<TResponse> $method
     *
     * @return ClientStreamCall<covariant Message, TResponse>
     *
     * @throws RpcException
     */
    public function clientStream(MethodDescriptor $method, CallOptions $options): ClientStreamCall;

    /**
     * Many requests, many responses, in both directions at the same time.
     *
     * @template TResponse of Message
     *
     * @param MethodDescriptor<TResponse> $method
     *
     * @return BidiCall<covariant Message, TResponse>
     *
     * @throws RpcException
     */
    public function bidi(MethodDescriptor $method, CallOptions $options): BidiCall;
}
