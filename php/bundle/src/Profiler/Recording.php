<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Profiler;

use Switchyard\Client\BidiCall;
use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Middleware;
use Switchyard\Client\ResponseMetadata;
use Switchyard\Client\RpcException;
use Switchyard\Client\ServerStreamCall;
use Switchyard\Client\StatusCode;

/** Outermost around the calls of a client: tells the recorder about each. */
final class Recording implements Middleware
{
    public function __construct(private readonly CallRecorder $recorder, private readonly string $client)
    {
    }

    public function unary(MethodDescriptor $method, Message $request, CallOptions $options, \Closure $next): Message
    {
        $options = null === $options->response ? $options->withResponseMetadata(new ResponseMetadata()) : $options;
        $call = $this->recorder->begin($this->client, $method, 'unary');
        $call->sent($request);
        try {
            $response = $next($request, $options);
        } catch (\Throwable $e) {
            $call->ended($e instanceof RpcException ? $e->error->code : StatusCode::UNKNOWN, $e, $options->response);
            throw $e;
        }
        $call->received($response);
        $call->ended(StatusCode::OK, null, $options->response);

        return $response;
    }

    public function stream(MethodDescriptor $method, CallOptions $options, \Closure $next): ServerStreamCall|ClientStreamCall
    {
        $call = $this->recorder->begin($this->client, $method, 'stream');
        try {
            $stream = $next($options->withObserver($call->ended(...)));
        } catch (\Throwable $e) {
            $call->ended($e instanceof RpcException ? $e->error->code : StatusCode::UNKNOWN, $e);
            throw $e;
        }

        return match (true) {
            $stream instanceof BidiCall => new RecordedBidiCall($stream, $call),
            $stream instanceof ServerStreamCall => new RecordedServerStream($stream, $call),
            default => new RecordedClientStream($stream, $call),
        };
    }
}
