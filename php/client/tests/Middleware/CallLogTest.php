<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Middleware;

use PHPUnit\Framework\MockObject\MockObject;
use PHPUnit\Framework\TestCase;
use Psr\Log\LoggerInterface;
use Switchyard\Client\Connection;
use Switchyard\Client\Middleware\CallLog;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;
use Switchyard\Client\Tests\Support\Calls;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerationClient;

final class CallLogTest extends TestCase
{
    /** @var list<array{string, array<string, mixed>}> */
    private array $lines = [];

    public function testCallsAreLoggedWithoutTheirContent(): void
    {
        $calls = new Calls(new CallLog($this->logger()), [StatusCode::OK, StatusCode::UNAVAILABLE]);
        $calls->make();
        $calls->make();
        self::assertSame(['debug', 'warning'], \array_column($this->lines, 0));
        self::assertSame('test.Service/Method', $this->lines[0][1]['method']);
        self::assertSame('UNAVAILABLE', $this->lines[1][1]['code']);
    }

    public function testFailuresOfTheServerAreLoggedWithTheirReason(): void
    {
        $server = Server::shared();
        $moderation = new ModerationClient(Connection::open('unix://' . $server->socket, $server->key, $this->logger()));
        try {
            $moderation->moderateText(new ModerateTextRequest(deployment: 'nope', text: 'a private text'));
            self::fail('the deployment exists');
        } catch (RpcException) {
        }
        $call = $moderation->streamModerateText();
        $call->cancel();
        self::assertSame(['warning', 'debug'], \array_column($this->lines, 0));
        self::assertSame('DEPLOYMENT_NOT_FOUND', $this->lines[0][1]['reason']);
        self::assertSame('CANCELLED', $this->lines[1][1]['code']);
        self::assertStringNotContainsString('private text', (string) \json_encode($this->lines));
        self::assertStringNotContainsString($server->key, (string) \json_encode($this->lines));
    }

    private function logger(): LoggerInterface&MockObject
    {
        $logger = $this->createMock(LoggerInterface::class);
        foreach (['warning', 'debug'] as $level) {
            $logger->method($level)->willReturnCallback(function (string $message, array $context) use ($level): void {
                $this->lines[] = [$level, $context];
            });
        }

        return $logger;
    }
}
