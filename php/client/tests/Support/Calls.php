<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Support;

use Switchyard\Client\CallOptions;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Middleware;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;
use Switchyard\Client\WellKnown\EmptyMessage;

/** Calls through one middleware to a transport that answers with a list of codes, in order; the last again and again. */
final class Calls
{
    /** @var list<CallOptions> */
    public array $made = [];

    /** @param list<StatusCode|RpcException> $answers */
    public function __construct(private readonly Middleware $middleware, public array $answers = [StatusCode::OK])
    {
    }

    public function make(bool $idempotent = true, ?CallOptions $options = null): StatusCode
    {
        $method = new MethodDescriptor('/test.Service/Method', EmptyMessage::class, 1000, $idempotent);
        try {
            $this->middleware->unary($method, new EmptyMessage(), $options ?? CallOptions::standard(), function (Message $request, CallOptions $options): Message {
                $this->made[] = $options;
                $answer = \count($this->answers) > 1 ? \array_shift($this->answers) : $this->answers[0];
                if ($answer instanceof RpcException) {
                    throw $answer;
                }

                return StatusCode::OK === $answer ? $request : throw new RpcException(new RpcError($answer));
            });
        } catch (RpcException $e) {
            return $e->error->code;
        }

        return StatusCode::OK;
    }
}
