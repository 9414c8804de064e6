<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Middleware;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Middleware\CircuitBreaker;
use Switchyard\Client\State\MemoryStore;
use Switchyard\Client\StatusCode;
use Switchyard\Client\Tests\Support\Calls;

final class CircuitBreakerTest extends TestCase
{
    private float $now = 1000.0;
    private MemoryStore $store;

    protected function setUp(): void
    {
        $this->store = new MemoryStore();
    }

    public function testFailuresInARowOfAllWorkersOpenIt(): void
    {
        for ($i = 0; $i < 5; ++$i) {
            $calls = $this->worker(StatusCode::UNAVAILABLE);
            self::assertSame(StatusCode::UNAVAILABLE, $calls->make());
            self::assertCount(1, $calls->made);
        }
        $calls = $this->worker(StatusCode::OK);
        self::assertSame(StatusCode::UNAVAILABLE, $calls->make());
        self::assertSame([], $calls->made);
    }

    public function testASuccessInBetweenStartsTheRowAnew(): void
    {
        $calls = $this->worker(StatusCode::UNAVAILABLE, StatusCode::UNAVAILABLE, StatusCode::UNAVAILABLE, StatusCode::UNAVAILABLE, StatusCode::OK, StatusCode::UNAVAILABLE);
        for ($i = 0; $i < 9; ++$i) {
            $calls->make();
        }
        self::assertCount(9, $calls->made);
    }

    public function testErrorsOfRequestsDoNotCount(): void
    {
        $calls = $this->worker(StatusCode::INVALID_ARGUMENT);
        for ($i = 0; $i < 20; ++$i) {
            $calls->make();
        }
        self::assertCount(20, $calls->made);
    }

    public function testADeadlineOfTheCallersOwnDoesNotCount(): void
    {
        $calls = $this->worker(StatusCode::DEADLINE_EXCEEDED);
        for ($i = 0; $i < 10; ++$i) {
            $calls->make(options: CallOptions::timeout(1));
        }
        self::assertCount(10, $calls->made);
        for ($i = 0; $i < 10; ++$i) {
            $calls->make();
        }
        self::assertCount(15, $calls->made);
    }

    public function testOneTrialAfterThePauseClosesIt(): void
    {
        $this->open();
        $this->now += 1.1;
        $calls = $this->worker(StatusCode::OK);
        self::assertSame(StatusCode::OK, $calls->make());
        self::assertSame(StatusCode::OK, $calls->make());
        self::assertCount(2, $calls->made);
    }

    public function testOnlyOneWorkerTries(): void
    {
        $this->open();
        $this->now += 1.1;
        $breaker = $this->breaker();
        $inner = null;
        $trial = new Calls($breaker);
        // While the trial is on its way another worker calls.
        $other = $this->worker(StatusCode::OK);
        $method = new \Switchyard\Client\MethodDescriptor('/a/b', \Switchyard\Client\WellKnown\EmptyMessage::class, 1000, true);
        $breaker->unary($method, new \Switchyard\Client\WellKnown\EmptyMessage(), CallOptions::standard(), static function ($request) use ($other, &$inner) {
            $inner = $other->make();

            return $request;
        });
        self::assertSame(StatusCode::UNAVAILABLE, $inner);
        self::assertSame([], $other->made);
        self::assertSame(StatusCode::OK, $trial->make());
    }

    public function testAFailedTrialDoublesThePause(): void
    {
        $this->open();
        $this->now += 1.1;
        $this->worker(StatusCode::UNAVAILABLE)->make();
        $this->now += 1.1;
        $calls = $this->worker(StatusCode::OK);
        self::assertSame(StatusCode::UNAVAILABLE, $calls->make());
        self::assertSame([], $calls->made);
        $this->now += 1.0;
        self::assertSame(StatusCode::OK, $calls->make());
    }

    public function testFailuresFarApartAreNotInARow(): void
    {
        $calls = $this->worker(StatusCode::UNAVAILABLE);
        for ($i = 0; $i < 10; ++$i) {
            $calls->make();
            $this->now += 31;
        }
        self::assertCount(10, $calls->made);
    }

    private function open(): void
    {
        $calls = $this->worker(StatusCode::UNAVAILABLE);
        for ($i = 0; $i < 5; ++$i) {
            $calls->make();
        }
        self::assertTrue($this->breaker()->isOpen());
    }

    private function worker(StatusCode ...$answers): Calls
    {
        return new Calls($this->breaker(), $answers);
    }

    private function breaker(): CircuitBreaker
    {
        return new CircuitBreaker($this->store, 'target', clock: fn (): float => $this->now);
    }
}
