<?php

declare(strict_types=1);

namespace Switchyard\Client\Testing;

use Switchyard\Client\BidiCall;
use Switchyard\Client\CallOptions;
use Switchyard\Client\ClientStreamCall;
use Switchyard\Client\Message\Message;
use Switchyard\Client\ServerStreamCall;

/**
 * What generated fakes share. An answer is
 *
 *  - for a unary call or a client stream: the response, or a closure that makes it from
 *    the request (of a client stream: from the list of requests);
 *  - for a server stream: an iterable of responses, or a closure from the request to one;
 *  - for a bidirectional stream: an iterable of responses, or a closure that is called with each
 *    request and returns a response, an iterable of them or null;
 *  - for any of them a \Throwable, which is thrown.
 */
trait FakeClient
{
    /** @var list<FakeCall> in the order they came */
    public array $calls = [];

    /** @var array<string, list<Message|iterable<Message>|\Throwable|\Closure>> */
    private array $answers = [];

    /**
     * Adds an answer for a method. Answers are used in order, the last one again and again.
     *
     * @param Message|iterable<Message>|\Throwable|\Closure $answer
     */
    public function will(string $method, Message|iterable|\Throwable|\Closure $answer): static
    {
        if (!isset(self::SHAPES[$method])) {
            throw new \InvalidArgumentException(\sprintf('%s has no method %s, only %s', self::class, $method, \implode(', ', \array_keys(self::SHAPES))));
        }
        $this->answers[$method][] = $answer;

        return $this;
    }

    private function answerUnary(string $method, Message $request, ?CallOptions $options): Message
    {
        $call = $this->record($method, $options);
        $call->requests[] = $request;
        $answer = $this->nextAnswer($method);

        return $answer instanceof \Closure ? $answer($request) : $answer;
    }

    private function answerServerStream(string $method, Message $request, ?CallOptions $options): ServerStreamCall
    {
        $call = $this->record($method, $options);
        $call->requests[] = $request;
        $answer = $this->nextAnswer($method);

        return new FakeServerStream($call, $answer instanceof \Closure ? $answer($request) : $answer);
    }

    private function answerClientStream(string $method, ?CallOptions $options): ClientStreamCall
    {
        return new FakeClientStream($this->record($method, $options), $this->nextAnswer($method));
    }

    private function answerBidi(string $method, ?CallOptions $options): BidiCall
    {
        return new FakeBidiCall($this->record($method, $options), $this->nextAnswer($method));
    }

    private function record(string $method, ?CallOptions $options): FakeCall
    {
        return $this->calls[] = new FakeCall($method, $options ?? CallOptions::standard());
    }

    /** @return Message|iterable<Message>|\Closure */
    private function nextAnswer(string $method): Message|iterable|\Closure
    {
        $left = \count($this->answers[$method] ?? []);
        if (0 === $left) {
            throw new \LogicException(\sprintf('%s was called, but will(\'%1$s\', …) was not: the fake has no answer', $method));
        }
        $answer = $left > 1 ? \array_shift($this->answers[$method]) : $this->answers[$method][0];

        return $answer instanceof \Throwable ? throw $answer : $answer;
    }
}
