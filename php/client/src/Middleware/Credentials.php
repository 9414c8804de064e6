<?php

declare(strict_types=1);

namespace Switchyard\Client\Middleware;

use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Middleware;
use Switchyard\Client\ServerStreamCall;

/** Sends an API key with every call that does not bring its own. */
final class Credentials implements Middleware
{
    private readonly string|\Closure $key;

    /** @param string|\Closure(): string $key a closure is asked at every call, for keys that change */
    public function __construct(#[\SensitiveParameter] string|\Closure $key)
    {
        $this->key = $key;
    }

    /** @return array<string, string> without the key */
    public function __debugInfo(): array
    {
        return ['key' => '…'];
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
        if (isset($options->metadata['authorization'])) {
            return $options;
        }

        return $options->withMetadata('authorization', 'Bearer ' . ($this->key instanceof \Closure ? ($this->key)() : $this->key));
    }
}
