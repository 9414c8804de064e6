<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Conformance;

use Connectrpc\Conformance\V1\BidiStreamRequest;
use Connectrpc\Conformance\V1\ClientCompatRequest;
use Connectrpc\Conformance\V1\ClientCompatResponse;
use Connectrpc\Conformance\V1\ClientErrorResult;
use Connectrpc\Conformance\V1\ClientResponseResult;
use Connectrpc\Conformance\V1\ClientStreamRequest;
use Connectrpc\Conformance\V1\Code;
use Connectrpc\Conformance\V1\Compression as Wanted;
use Connectrpc\Conformance\V1\ConformanceClient;
use Connectrpc\Conformance\V1\ConformancePayload;
use Connectrpc\Conformance\V1\Error;
use Connectrpc\Conformance\V1\Header;
use Connectrpc\Conformance\V1\ServerStreamRequest;
use Connectrpc\Conformance\V1\StreamType;
use Connectrpc\Conformance\V1\UnaryRequest;
use Connectrpc\Conformance\V1\UnimplementedRequest;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Compression;
use Switchyard\Client\Curl\CurlTransport;
use Switchyard\Client\Curl\Endpoint;
use Switchyard\Client\Curl\Settings;
use Switchyard\Client\Curl\Tls;
use Switchyard\Client\Message\Message;
use Switchyard\Client\ResponseMetadata;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\ServerStreamCall;
use Switchyard\Client\StatusCode;

/** Makes one call as the suite describes it. */
final class Invoker
{
    private ClientCompatRequest $ask;
    private ResponseMetadata $metadata;

    /** @var list<Message> */
    private array $payloads = [];
    private int $sent = 0;
    private int $cancelAfterClose = -1;

    public function run(ClientCompatRequest $ask): ClientCompatResponse
    {
        $this->ask = $ask;
        $this->metadata = new ResponseMetadata();
        if (null !== $ask->cancel && null === $ask->cancel->beforeCloseSend && null === $ask->cancel->afterNumResponses) {
            $this->cancelAfterClose = $ask->cancel->afterCloseSendMs ?? 0;
        }
        $error = null;
        try {
            $this->call(new ConformanceClient($this->transport()));
        } catch (RpcException $e) {
            $error = new Error(Code::from($e->error->code->value), $e->error->message, $e->error->details);
        } catch (\Throwable $e) {
            return new ClientCompatResponse($ask->testName, error: new ClientErrorResult((string) $e));
        }

        return new ClientCompatResponse($ask->testName, new ClientResponseResult(
            responseHeaders: self::headers($this->metadata->headers),
            payloads: $this->payloads,
            error: $error,
            responseTrailers: self::headers($this->metadata->trailers),
            numUnsentRequests: null === $error ? 0 : \max(0, \count($ask->requestMessages) - $this->sent),
        ));
    }

    private function transport(): CurlTransport
    {
        $a = $this->ask;
        $creds = $a->clientTlsCreds;
        $endpoint = '' === $a->serverTlsCert
            ? Endpoint::tcp($a->host, $a->port)
            : Endpoint::tls($a->host, $a->port, new Tls($a->serverTlsCert, $creds?->cert ?? '', $creds?->key ?? ''));

        return new CurlTransport($endpoint, new Settings(timeoutMillis: null, maxReceiveBytes: $a->messageReceiveLimit ?: 16 << 20));
    }

    private function options(): CallOptions
    {
        $metadata = [];
        foreach ($this->ask->requestHeaders as $header) {
            $metadata[\strtolower($header->name)] = \array_map(
                static fn (string $v): string => \str_ends_with($header->name, '-bin') ? (string) \base64_decode($v) : $v,
                $header->value,
            );
        }

        return new CallOptions(
            $this->ask->timeoutMs,
            $metadata,
            compression: Wanted::GZIP === $this->ask->compression ? Compression::GZIP : Compression::NONE,
            response: $this->metadata,
        );
    }

    private function call(ConformanceClient $client): void
    {
        $messages = $this->ask->requestMessages;
        match ($this->ask->method) {
            'Unary' => $this->unary($client, $messages[0]->unpack(UnaryRequest::class)),
            'Unimplemented' => $client->unimplemented($messages[0]->unpack(UnimplementedRequest::class), $this->options()),
            'ServerStream' => $this->serverStream($client, $messages[0]->unpack(ServerStreamRequest::class)),
            'ClientStream' => $this->clientStream($client),
            'BidiStream' => $this->bidi($client),
        };
    }

    private function unary(ConformanceClient $client, UnaryRequest $request): void
    {
        $options = $this->options();
        $this->delay();
        $this->sent = 1;
        if ($this->cancelAfterClose >= 0) {
            $at = \hrtime(true) + $this->cancelAfterClose * 1_000_000;
            $options = $options->withCancellation(static fn (): bool => \hrtime(true) >= $at);
        }
        $this->payloads[] = $client->unary($request, $options)->payload ?? new ConformancePayload();
    }

    private function serverStream(ConformanceClient $client, ServerStreamRequest $request): void
    {
        $this->delay();
        $call = $client->serverStream($request, $this->options());
        $this->sent = 1;
        $this->cancelLater($call);
        $this->receiveAll($call);
    }

    private function clientStream(ConformanceClient $client): void
    {
        $at = null;
        $options = $this->options();
        if ($this->cancelAfterClose >= 0) {
            $options = $options->withCancellation(static function () use (&$at): bool { return null !== $at && \hrtime(true) >= $at; });
        }
        $call = $client->clientStream($options);
        foreach ($this->ask->requestMessages as $message) {
            $this->delay();
            $call->send($message->unpack(ClientStreamRequest::class));
            ++$this->sent;
        }
        if (null !== $this->ask->cancel?->beforeCloseSend) {
            $call->cancel();
        }
        $at = \hrtime(true) + $this->cancelAfterClose * 1_000_000;
        $this->payloads[] = $call->closeAndReceive()->payload ?? new ConformancePayload();
    }

    private function bidi(ConformanceClient $client): void
    {
        $call = $client->bidiStream($this->options());
        $full = StreamType::FULL_DUPLEX_BIDI_STREAM === $this->ask->streamType;
        foreach ($this->ask->requestMessages as $message) {
            $this->delay();
            $call->send($message->unpack(BidiStreamRequest::class));
            ++$this->sent;
            if ($full) {
                if (null === $response = $call->receive()) {
                    break;
                }
                $this->payload($call, $response);
            }
        }
        if (null !== $this->ask->cancel?->beforeCloseSend) {
            $call->cancel();
            $this->cancelled();
        }
        $call->closeSend();
        $this->cancelLater($call);
        $this->receiveAll($call);
    }

    private function receiveAll(ServerStreamCall $call): void
    {
        while (null !== $response = $call->receive()) {
            $this->payload($call, $response);
        }
    }

    private function payload(ServerStreamCall $call, Message $response): void
    {
        $this->payloads[] = $response->payload ?? new ConformancePayload();
        if (\count($this->payloads) === $this->ask->cancel?->afterNumResponses) {
            $call->cancel();
            $this->cancelled();
        }
    }

    private function cancelLater(ServerStreamCall $call): void
    {
        if ($this->cancelAfterClose >= 0) {
            \usleep($this->cancelAfterClose * 1000);
            $call->cancel();
            $this->cancelled();
        }
    }

    /** A stream that its reader cancelled just ends; the suite wants to hear of it. */
    private function cancelled(): never
    {
        throw new RpcException(new RpcError(StatusCode::CANCELLED));
    }

    private function delay(): void
    {
        \usleep($this->ask->requestDelayMs * 1000);
    }

    /**
     * @param array<string, list<string>> $headers
     *
     * @return list<Header>
     */
    private static function headers(array $headers): array
    {
        $list = [];
        foreach ($headers as $name => $values) {
            $name = (string) $name;
            $list[] = new Header($name, \str_ends_with($name, '-bin') ? \array_map('base64_encode', $values) : $values);
        }

        return $list;
    }
}
