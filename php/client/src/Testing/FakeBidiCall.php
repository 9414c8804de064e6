<?php

declare(strict_types=1);

namespace Switchyard\Client\Testing;

use Switchyard\Client\BidiCall;
use Switchyard\Client\Message\Message;

/**
 * @internal made by fake clients
 *
 * @implements BidiCall<Message, Message>
 */
final class FakeBidiCall implements BidiCall
{
    /** @var list<Message> */
    private array $waiting = [];
    private readonly ?\Closure $answer;
    private bool $closed = false;

    /** @param iterable<Message>|\Closure $answer */
    public function __construct(private readonly FakeCall $call, iterable|\Closure $answer)
    {
        $this->answer = $answer instanceof \Closure ? $answer : null;
        if (!$answer instanceof \Closure) {
            foreach ($answer as $message) {
                $this->waiting[] = $message;
            }
        }
    }

    public function send(Message $request): void
    {
        if ($this->closed) {
            throw new \LogicException('send() after closeSend()');
        }
        $this->call->requests[] = $request;
        $answer = null === $this->answer ? null : ($this->answer)($request);
        foreach ($answer instanceof Message ? [$answer] : $answer ?? [] as $message) {
            $this->waiting[] = $message;
        }
    }

    public function receive(?float $timeoutSeconds = null): ?Message
    {
        return $this->call->cancelled ? null : \array_shift($this->waiting);
    }

    public function closeSend(): void
    {
        $this->closed = true;
    }

    public function cancel(): void
    {
        $this->call->cancelled = true;
    }

    public function getIterator(): \Iterator
    {
        $ended = false;
        try {
            while (null !== $response = $this->receive()) {
                yield $response;
            }
            $ended = true;
        } finally {
            if (!$ended) {
                $this->cancel();
            }
        }
    }
}
