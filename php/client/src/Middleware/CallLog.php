<?php

declare(strict_types=1);

namespace Switchyard\Client\Middleware;

use Psr\Log\LoggerInterface;
use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Middleware;
use Switchyard\Client\ResponseMetadata;
use Switchyard\Client\RpcException;
use Switchyard\Client\ServerStreamCall;
use Switchyard\Client\StatusCode;

/** Logs calls to a PSR-3 logger: failures as warnings, the rest for debugging. Never what was sent, and never the key. */
final class CallLog implements Middleware
{
    public function __construct(private readonly LoggerInterface $logger)
    {
    }

    public function unary(MethodDescriptor $method, Message $request, CallOptions $options, \Closure $next): Message
    {
        $options = null === $options->response ? $options->withResponseMetadata(new ResponseMetadata()) : $options;
        $begin = (int) \hrtime(true);
        try {
            $response = $next($request, $options);
        } catch (RpcException $e) {
            $this->log($method, $options, $begin, $e->error->code, $e);
            throw $e;
        }
        $this->log($method, $options, $begin, StatusCode::OK, null);

        return $response;
    }

    public function stream(MethodDescriptor $method, CallOptions $options, \Closure $next): ServerStreamCall|ClientStreamCall
    {
        $begin = (int) \hrtime(true);
        $bare = $options;

        return $next($options->withObserver(function (StatusCode $code, ?RpcException $e) use ($method, $bare, $begin): void {
            $this->log($method, $bare, $begin, $code, $e);
        }));
    }

    private function log(MethodDescriptor $method, CallOptions $options, int $begin, StatusCode $code, ?RpcException $e): void
    {
        $context = [
            'method' => \ltrim($method->path, '/'),
            'code' => $code->name,
            'millis' => \round((\hrtime(true) - $begin) / 1e6, 2),
            'attempts' => \max(1, $options->response?->attempts ?? 1),
        ];
        if (null !== $requestId = $options->response?->first('x-request-id')) {
            $context['request_id'] = $requestId;
        }
        if (null === $e) {
            $this->logger->debug('called {method}: {code} in {millis} ms', $context);

            return;
        }
        $this->logger->warning('call of {method} failed: {code} {reason} {message}', $context + ['reason' => $e->error->reason, 'message' => $e->getMessage()]);
    }
}
