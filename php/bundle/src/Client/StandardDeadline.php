<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Client;

use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Middleware;
use Switchyard\Client\ServerStreamCall;

/** Gives unary calls without a deadline of their own that of the client's configuration. Streams keep that of the contract: they live as long as their reader. */
final class StandardDeadline implements Middleware
{
    public function __construct(private readonly int $millis)
    {
    }

    public function unary(MethodDescriptor $method, Message $request, CallOptions $options, \Closure $next): Message
    {
        return $next($request, null === $options->timeoutMillis ? $options->withTimeout($this->millis) : $options);
    }

    public function stream(MethodDescriptor $method, CallOptions $options, \Closure $next): ServerStreamCall|ClientStreamCall
    {
        return $next($options);
    }
}
