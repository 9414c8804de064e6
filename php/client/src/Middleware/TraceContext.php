<?php

declare(strict_types=1);

namespace Switchyard\Client\Middleware;

use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Middleware;
use Switchyard\Client\ServerStreamCall;

/**
 * Tells the server which trace a call belongs to: https://www.w3.org/TR/trace-context/. Without a current trace nothing is sent, and the
 * server decides itself which calls it traces.
 */
final class TraceContext implements Middleware
{
    private const FORM = '/^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/D';

    private readonly \Closure $current;

    /** @param (\Closure(): ?string)|null $current returns the traceparent of now; null for that of OpenTelemetry, else of the HTTP request */
    public function __construct(?\Closure $current = null)
    {
        $this->current = $current ?? self::discover(...);
    }

    public function unary(MethodDescriptor $method, Message $request, CallOptions $options, \Closure $next): Message
    {
        return $next($request, $this->add($options));
    }

    public function stream(MethodDescriptor $method, CallOptions $options, \Closure $next): ServerStreamCall|ClientStreamCall
    {
        return $next($this->add($options));
    }

    private function add(CallOptions $options): CallOptions
    {
        if (isset($options->metadata['traceparent'])) {
            return $options;
        }
        $parent = ($this->current)();

        return null !== $parent && 1 === \preg_match(self::FORM, $parent) ? $options->withMetadata('traceparent', $parent) : $options;
    }

    private static function discover(): ?string
    {
        $propagator = 'OpenTelemetry\API\Trace\Propagation\TraceContextPropagator';
        if (\class_exists($propagator)) {
            $carrier = [];
            $propagator::getInstance()->inject($carrier);
            if (isset($carrier['traceparent'])) {
                return $carrier['traceparent'];
            }
        }
        $parent = $_SERVER['HTTP_TRACEPARENT'] ?? null;

        return \is_string($parent) ? $parent : null;
    }
}
