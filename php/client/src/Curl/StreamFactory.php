<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\CallOptions;
use Switchyard\Client\Grpc\Deadline;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;

/**
 * Opens streams. Each has a multi handle of its own, so that waiting for one stream does not read another's messages into memory;
 * idle handles are kept, and with them their connections.
 *
 * @internal
 */
final class StreamFactory
{
    private const KEEP = 4;

    /** @var list<\CurlMultiHandle> */
    private array $idle = [];

    public function __construct(
        private readonly Endpoint $endpoint,
        private readonly Settings $settings,
        private readonly LibCurl $curl,
        private readonly Unary $unary,
    ) {
    }

    /**
     * @param ?Deadline $deadline of the whole call; null for that of the options, else none
     * @param ?Message  $request  the only one; null when requests follow one by one
     */
    public function open(MethodDescriptor $method, CallOptions $options, ?Deadline $deadline, ?Message $request = null): Stream
    {
        $compression = Request::compression($options, $this->settings->compression);
        $limits = new StreamLimits(
            $deadline ?? (null === $options->timeoutMillis ? null : Deadline::in($options->timeoutMillis)),
            $method->timeoutMillis ?? $this->settings->timeoutMillis,
            $this->settings->maxSendBytes,
        );
        $exchange = new Exchange($this->settings->maxReceiveBytes);
        $handle = Handle::create($this->endpoint, $this->settings, $this->curl);
        \curl_setopt_array($handle, [
            \CURLOPT_URL => $this->endpoint->base . $method->path,
            \CURLOPT_HTTPHEADER => Request::headers($options, $compression, $limits->overall),
            \CURLOPT_FRESH_CONNECT => $this->fresh(),
        ]);
        if (null === $request) {
            \curl_setopt_array($handle, [\CURLOPT_UPLOAD => true, \CURLOPT_CUSTOMREQUEST => 'POST']);
        } else {
            \curl_setopt($handle, \CURLOPT_POSTFIELDS, Request::frame($request, $compression, $this->settings->maxSendBytes, $method));
        }
        \curl_setopt_array($handle, $exchange->options(null === $request));

        return new Stream(
            new Transfer($handle, \array_pop($this->idle) ?? \curl_multi_init(), $exchange, $this->curl, $this->release(...)),
            $exchange,
            $this->endpoint,
            $method,
            $options,
            $compression,
            $limits,
            $this->unary->refusal(...),
        );
    }

    private function fresh(): bool
    {
        return null === $this->endpoint->tls && $this->curl->breaksPriorKnowledgeReuse();
    }

    private function release(\CurlMultiHandle $multi): void
    {
        if (!$this->fresh() && \count($this->idle) < self::KEEP) {
            $this->idle[] = $multi;
        }
    }
}
