<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Client;

use Symfony\Component\HttpFoundation\RequestStack;

/**
 * The trace that calls belong to: OpenTelemetry's current span, else that of the HTTP request being handled. Unlike $_SERVER, the request stack is right in
 * servers that handle many requests in one process too.
 */
final class RequestTrace
{
    private const OPENTELEMETRY = 'OpenTelemetry\API\Trace\Propagation\TraceContextPropagator';

    public function __construct(private readonly RequestStack $requests)
    {
    }

    /** A W3C traceparent, as it came: who sends it on checks its form. */
    public function traceparent(): ?string
    {
        if (\class_exists(self::OPENTELEMETRY)) {
            $carrier = [];
            (self::OPENTELEMETRY)::getInstance()->inject($carrier);
            if (isset($carrier['traceparent'])) {
                return $carrier['traceparent'];
            }
        }

        return $this->requests->getMainRequest()?->headers->get('traceparent');
    }
}
