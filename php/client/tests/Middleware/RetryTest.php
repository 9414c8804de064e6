<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Middleware;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Failure\TlsException;
use Switchyard\Client\Middleware\Retry;
use Switchyard\Client\RetryPolicy;
use Switchyard\Client\Rpc\RetryInfo;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\State\MemoryStore;
use Switchyard\Client\StatusCode;
use Switchyard\Client\Tests\Support\Calls;
use Switchyard\Client\WellKnown\Any;
use Switchyard\Client\WellKnown\Duration;

final class RetryTest extends TestCase
{
    /** @var list<int> milliseconds */
    private array $slept = [];

    public function testAnUnreachableServerIsTriedAgain(): void
    {
        $calls = new Calls($this->retry(), [StatusCode::UNAVAILABLE, StatusCode::UNAVAILABLE, StatusCode::OK]);
        self::assertSame(StatusCode::OK, $calls->make());
        self::assertCount(3, $calls->made);
        self::assertCount(2, $this->slept);
    }

    public function testAttemptsEnd(): void
    {
        $calls = new Calls($this->retry(), [StatusCode::UNAVAILABLE]);
        self::assertSame(StatusCode::UNAVAILABLE, $calls->make());
        self::assertCount(3, $calls->made);
    }

    public function testCallsThatMayDoHarmAreMadeOnce(): void
    {
        $calls = new Calls($this->retry(), [StatusCode::UNAVAILABLE]);
        $calls->make(idempotent: false);
        self::assertCount(1, $calls->made);
    }

    public function testOtherErrorsAreFinal(): void
    {
        foreach ([StatusCode::INTERNAL, StatusCode::DEADLINE_EXCEEDED, StatusCode::RESOURCE_EXHAUSTED] as $code) {
            $calls = new Calls($this->retry(), [$code]);
            $calls->make();
            self::assertCount(1, $calls->made, $code->name);
        }
        $calls = new Calls($this->retry(), [new TlsException(new RpcError(StatusCode::UNAVAILABLE))]);
        $calls->make();
        self::assertCount(1, $calls->made);
    }

    public function testTheServerSaysWhen(): void
    {
        $info = new RetryInfo(new Duration(0, 300_000_000));
        $limited = new RpcException(new RpcError(StatusCode::RESOURCE_EXHAUSTED, details: [Any::pack($info)]));
        $calls = new Calls($this->retry(), [$limited, StatusCode::OK]);
        self::assertSame(StatusCode::OK, $calls->make());
        self::assertGreaterThanOrEqual(300, $this->slept[0]);
        self::assertLessThanOrEqual(320, $this->slept[0]);
    }

    public function testAWaitBeyondTheDeadlineIsNotBegun(): void
    {
        $limited = new RpcException(new RpcError(StatusCode::UNAVAILABLE, details: [Any::pack(new RetryInfo(new Duration(5)))]));
        $calls = new Calls($this->retry(), [$limited]);
        $calls->make();
        self::assertCount(1, $calls->made);
        self::assertSame([], $this->slept);
    }

    public function testLaterAttemptsHaveTheTimeThatIsLeft(): void
    {
        $calls = new Calls($this->retry(static fn (int $ms) => \usleep(20_000)), [StatusCode::UNAVAILABLE, StatusCode::OK]);
        $calls->make(options: CallOptions::timeout(500));
        self::assertSame(500, $calls->made[0]->timeoutMillis);
        self::assertLessThanOrEqual(480, $calls->made[1]->timeoutMillis);
    }

    public function testTheBudgetIsSharedAndRefills(): void
    {
        $store = new MemoryStore();
        $sent = 0;
        for ($i = 0; $i < 10; ++$i) {
            $calls = new Calls(new Retry($store, 'target', budget: 4, perSecond: 0.001, sleep: static fn () => null), [StatusCode::UNAVAILABLE]);
            $calls->make();
            $sent += \count($calls->made);
        }
        self::assertSame(10 + 4, $sent);
        $calls = new Calls(new Retry($store, 'another', budget: 4, sleep: static fn () => null), [StatusCode::UNAVAILABLE]);
        $calls->make();
        self::assertCount(3, $calls->made);
    }

    public function testOptionsChangeThePolicy(): void
    {
        $calls = new Calls($this->retry(), [StatusCode::UNAVAILABLE]);
        $calls->make(options: (new CallOptions())->withRetry(RetryPolicy::none()));
        self::assertCount(1, $calls->made);
    }

    public function testJitterIsFullAndBounded(): void
    {
        $policy = new RetryPolicy(10, 20, 100);
        $waits = \array_map(static fn () => $policy->backoffMillis(2), \range(1, 400));
        self::assertGreaterThanOrEqual(0, \min($waits));
        self::assertLessThan(8, \min($waits));
        self::assertGreaterThan(32, \max($waits));
        self::assertLessThanOrEqual(40, \max($waits));
        self::assertLessThanOrEqual(100, $policy->backoffMillis(60));
    }

    private function retry(?\Closure $sleep = null): Retry
    {
        return new Retry(new MemoryStore(), 'target', sleep: $sleep ?? function (int $millis): void { $this->slept[] = $millis; });
    }
}
