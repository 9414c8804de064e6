<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Middleware;
use Switchyard\Client\ServerStreamCall;

final class CountingMiddleware implements Middleware
{
    /** @var list<string> */
    public array $paths = [];

    public function unary(MethodDescriptor $method, Message $request, CallOptions $options, \Closure $next): Message
    {
        $this->paths[] = $method->path;

        return $next($request, $options);
    }

    public function stream(MethodDescriptor $method, CallOptions $options, \Closure $next): ServerStreamCall|ClientStreamCall
    {
        return $next($options);
    }
}
