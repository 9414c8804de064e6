<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\Message\Message;

/** A transport with middleware around it. */
final class Pipeline implements Transport
{
    /** @var list<Middleware> innermost first */
    private readonly array $layers;

    public function __construct(private readonly Transport $transport, Middleware ...$outermostFirst)
    {
        $this->layers = \array_reverse(\array_values($outermostFirst));
    }

    public function unary(MethodDescriptor $method, Message $request, CallOptions $options): Message
    {
        $transport = $this->transport;
        $next = static fn (Message $request, CallOptions $options): Message => $transport->unary($method, $request, $options);
        foreach ($this->layers as $layer) {
            $inner = $next;
            $next = static fn (Message $request, CallOptions $options): Message => $layer->unary($method, $request, $options, $inner);
        }

        return $next($request, $options);
    }

    public function serverStream(MethodDescriptor $method, Message $request, CallOptions $options): ServerStreamCall
    {
        return $this->stream($method, $options, fn (CallOptions $o): ServerStreamCall => $this->transport->serverStream($method, $request, $o));
    }

    public function clientStream(MethodDescriptor $method, CallOptions $options): ClientStreamCall
    {
        return $this->stream($method, $options, fn (CallOptions $o): ClientStreamCall => $this->transport->clientStream($method, $o));
    }

    public function bidi(MethodDescriptor $method, CallOptions $options): BidiCall
    {
        return $this->stream($method, $options, fn (CallOptions $o): BidiCall => $this->transport->bidi($method, $o));
    }

    private function stream(MethodDescriptor $method, CallOptions $options, \Closure $next): ServerStreamCall|ClientStreamCall
    {
        foreach ($this->layers as $layer) {
            $inner = $next;
            $next = static fn (CallOptions $o): ServerStreamCall|ClientStreamCall => $layer->stream($method, $o, $inner);
        }

        return $next($options);
    }
}
