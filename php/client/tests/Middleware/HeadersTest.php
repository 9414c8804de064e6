<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Middleware;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Middleware\Credentials;
use Switchyard\Client\Middleware\TraceContext;
use Switchyard\Client\Tests\Support\Calls;

final class HeadersTest extends TestCase
{
    private const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

    public function testTheCurrentTraceIsSent(): void
    {
        $calls = new Calls(new TraceContext(static fn (): string => self::PARENT));
        $calls->make();
        self::assertSame([self::PARENT], $calls->made[0]->metadata['traceparent']);
        $calls->make(options: (new CallOptions())->withMetadata('traceparent', 'own'));
        self::assertSame(['own'], $calls->made[1]->metadata['traceparent']);
    }

    public function testWhatIsNoTraceIsNotSent(): void
    {
        foreach ([null, '', "x\r\ny: z", '00-' . \str_repeat('0', 32) . '-00f067aa0ba902b7-01', self::PARENT . "\n"] as $bad) {
            $calls = new Calls(new TraceContext(static fn (): ?string => $bad));
            $calls->make();
            self::assertArrayNotHasKey('traceparent', $calls->made[0]->metadata);
        }
    }

    public function testTheTraceOfTheHttpRequestIsFound(): void
    {
        $_SERVER['HTTP_TRACEPARENT'] = self::PARENT;
        try {
            $calls = new Calls(new TraceContext());
            $calls->make();
        } finally {
            unset($_SERVER['HTTP_TRACEPARENT']);
        }
        self::assertSame([self::PARENT], $calls->made[0]->metadata['traceparent']);
    }

    public function testKeysAreSentAndNotShown(): void
    {
        $credentials = new Credentials('secret-key');
        $calls = new Calls($credentials);
        $calls->make();
        $calls->make(options: (new CallOptions())->withMetadata('authorization', 'Bearer own'));
        self::assertSame(['Bearer secret-key'], $calls->made[0]->metadata['authorization']);
        self::assertSame(['Bearer own'], $calls->made[1]->metadata['authorization']);
        \ob_start();
        \var_dump($credentials);
        self::assertStringNotContainsString('secret-key', (string) \ob_get_clean());
        $n = 0;
        $calls = new Calls(new Credentials(static function () use (&$n): string { return 'key-' . ++$n; }));
        $calls->make();
        $calls->make();
        self::assertSame(['Bearer key-2'], $calls->made[1]->metadata['authorization']);
    }
}
