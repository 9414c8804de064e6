<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\BidiCall;
use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Failure\RequirementException;
use Switchyard\Client\Grpc\Deadline;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\ServerStreamCall;
use Switchyard\Client\Transport;

/**
 * gRPC over ext-curl: plaintext HTTP/2, unix sockets and TLS, all four kinds of calls. It knows nothing of retries; Connection puts
 * them around it. Connections are kept for later calls of the same transport.
 *
 * Not for use across fork(): a child needs a transport of its own.
 */
final class CurlTransport implements Transport
{
    private readonly LibCurl $curl;
    private readonly Unary $unary;
    private readonly StreamFactory $streams;

    /**
     * @param ?LibCurl $curl for tests; null for the one that is installed
     *
     * @throws RequirementException when PHP has no curl, or one that cannot do what the endpoint asks for
     */
    public function __construct(
        public readonly Endpoint $endpoint,
        private readonly Settings $settings = new Settings(),
        ?LibCurl $curl = null,
    ) {
        $this->curl = null === $curl ? LibCurl::installed() : LibCurl::checked($curl);
        if ('' !== $endpoint->socket && !$this->curl->unix) {
            throw new RequirementException(\sprintf('libcurl %s was built without unix sockets: use tcp:// or install your distribution\'s libcurl4.', $this->curl->name));
        }
        if (null !== $endpoint->tls && !$this->curl->tls) {
            throw new RequirementException(\sprintf('libcurl %s was built without TLS: install your distribution\'s libcurl4.', $this->curl->name));
        }
        $this->unary = new Unary($endpoint, $settings, $this->curl);
        $this->streams = new StreamFactory($endpoint, $settings, $this->curl, $this->unary);
    }

    public function unary(MethodDescriptor $method, Message $request, CallOptions $options): Message
    {
        if (null === $options->cancelled) {
            return $this->unary->call($method, $request, $options);
        }
        // curl_exec() looks up once a second only; the multi interface lets us ask more often.
        $call = new ClientStream($this->streams->open($method, $options, $this->deadline($method, $options), $request));

        return $call->closeAndReceive();
    }

    public function serverStream(MethodDescriptor $method, Message $request, CallOptions $options): ServerStreamCall
    {
        return new ServerStream($this->streams->open($method, $options, null, $request));
    }

    public function clientStream(MethodDescriptor $method, CallOptions $options): ClientStreamCall
    {
        return new ClientStream($this->streams->open($method, $options, $this->deadline($method, $options)));
    }

    public function bidi(MethodDescriptor $method, CallOptions $options): BidiCall
    {
        return new BidiStream($this->streams->open($method, $options, null));
    }

    private function deadline(MethodDescriptor $method, CallOptions $options): Deadline
    {
        return Deadline::in($options->timeoutMillis ?? $method->timeoutMillis ?? $this->settings->timeoutMillis);
    }
}
