<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Curl;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Curl\CurlTransport;
use Switchyard\Client\Curl\Endpoint;
use Switchyard\Client\Curl\Settings;
use Switchyard\Client\Exception;
use Switchyard\Client\Failure\ConnectionLostException;
use Switchyard\Client\Failure\ProtocolException;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;
use Switchyard\Client\Tests\Support\HostileServer as Hostile;
use Switchyard\Moderation\V1\Action;
use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerateTextResponse;
use Switchyard\Moderation\V1\ModerationClient;
use Switchyard\Moderation\V1\StreamModerateTextRequest;

/** Answers that no gRPC server gives: a typed exception each, never a warning, and no more memory than the limit. */
final class HostileServerTest extends TestCase
{
    private const PAGE = '<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr>nginx</body></html>';

    /** @return iterable<string, array{string, class-string, ?StatusCode, string}> bytes, exception, code, part of the message */
    public function answers(): iterable
    {
        $good = Hostile::message((new ModerateTextResponse(action: Action::ALLOW))->encode());
        yield 'error page of a proxy' => [Hostile::response(502, ['content-type' => 'text/html', 'server' => 'nginx'], self::PAGE, null),
            ProtocolException::class, StatusCode::UNAVAILABLE, 'HTTP status 502, content type "text/html", server "nginx"'];
        yield 'page of another server' => [Hostile::response(200, ['content-type' => 'text/html'], self::PAGE, null), ProtocolException::class, StatusCode::UNKNOWN, 'is a proxy'];
        yield 'not found' => [Hostile::response(404, ['content-type' => 'text/plain'], 'no', null), ProtocolException::class, StatusCode::UNIMPLEMENTED, '404'];
        yield 'no content type' => [Hostile::response(200, [], $good, ['grpc-status' => '0']), ProtocolException::class, StatusCode::UNKNOWN, 'content type missing'];
        yield 'no trailers' => [Hostile::grpc($good, null), ProtocolException::class, StatusCode::INTERNAL, 'without a status'];
        yield 'message cut off' => [Hostile::grpc("\0\0\0\0\x10abc"), ProtocolException::class, StatusCode::INTERNAL, 'cut off'];
        yield 'frame header cut off' => [Hostile::grpc("\0\0"), ProtocolException::class, StatusCode::INTERNAL, 'cut off'];
        yield 'flag that does not exist' => [Hostile::grpc(Hostile::message('x', 7)), ProtocolException::class, StatusCode::INTERNAL, 'flag 7'];
        yield 'length of four gigabytes' => [Hostile::grpc("\0\xff\xff\xff\xffabc"), ProtocolException::class, StatusCode::RESOURCE_EXHAUSTED, '4294967295'];
        yield 'compression that was not offered' => [Hostile::grpc(Hostile::message('x', 1)), ProtocolException::class, StatusCode::INTERNAL, 'not offered'];
        $gzip = ['content-type' => 'application/grpc', 'grpc-encoding' => 'gzip'];
        yield 'gzip that is none' => [Hostile::response(200, $gzip, Hostile::message('not gzip', 1), ['grpc-status' => '0']), ProtocolException::class, StatusCode::INTERNAL, 'gzip'];
        yield 'gzip bomb' => [Hostile::response(200, $gzip, Hostile::message(\gzencode(\str_repeat("\0", 8 << 20)), 1), ['grpc-status' => '0']),
            ProtocolException::class, StatusCode::RESOURCE_EXHAUSTED, 'limit'];
        yield 'another message' => [Hostile::grpc(Hostile::message("\x0a\x05ab")), ProtocolException::class, StatusCode::INTERNAL, 'cannot be read'];
        yield 'text that is not UTF-8' => [Hostile::grpc(Hostile::message("\x12\x01\xff\x0a\x03\x0a\x01\xff")), ProtocolException::class, StatusCode::INTERNAL, 'cannot be read'];
        yield 'status that is no number' => [Hostile::grpc('', ['grpc-status' => 'fine']), RpcException::class, StatusCode::UNKNOWN, ''];
        yield 'status that does not exist' => [Hostile::grpc('', ['grpc-status' => '99', 'grpc-message' => 'a%20b%ff']), RpcException::class, StatusCode::UNKNOWN, 'a b?'];
        yield 'details that cannot be read' => [Hostile::grpc('', ['grpc-status' => '5', 'grpc-message' => 'gone', 'grpc-status-details-bin' => '!!!']), RpcException::class, StatusCode::NOT_FOUND, 'gone'];
        yield 'details that are no status' => [Hostile::grpc('', ['grpc-status' => '5', 'grpc-status-details-bin' => \base64_encode("\xff\xff")]), RpcException::class, StatusCode::NOT_FOUND, ''];
        yield 'connection closed' => ['', ConnectionLostException::class, StatusCode::UNAVAILABLE, 'lost'];
        yield 'connection closed in the headers' => ["\0\0\x20\1\4\0\0\0\1abc", ConnectionLostException::class, StatusCode::UNAVAILABLE, 'lost'];
        yield 'connection closed in a message' => [Hostile::response(200, ['content-type' => 'application/grpc'], 'x', ['a' => 'b']) . "\0\0\5", RpcException::class, null, ''];
        yield 'frame of HTTP/2 that does not exist in this place' => [Hostile::frame(9, 0, 'xx'), ConnectionLostException::class, null, ''];
        yield 'refused stream' => [Hostile::frame(3, 0, \pack('N', 7)), ConnectionLostException::class, StatusCode::UNAVAILABLE, ''];
        yield 'bytes without sense' => [\random_bytes(2000), ConnectionLostException::class, null, ''];
    }

    /** @dataProvider answers */
    public function testUnary(string $answer, string $exception, ?StatusCode $code, string $message): void
    {
        $server = new Hostile($answer);
        $this->expect(fn () => $this->client($server)->moderateText(new ModerateTextRequest(text: 'hello')), $exception, $code, $message);
    }

    /** @dataProvider answers */
    public function testStream(string $answer, string $exception, ?StatusCode $code, string $message): void
    {
        $server = new Hostile($answer);
        $this->expect(function () use ($server): void {
            $call = $this->client($server)->streamModerateText();
            $call->send(new StreamModerateTextRequest(deployment: 'comments'));
            $call->closeSend();
            foreach ($call as $_) {
            }
        }, $exception, $code, $message);
    }

    public function testHttp1Page(): void
    {
        $page = "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" . self::PAGE;
        $server = new Hostile($page, false);
        $this->expect(fn () => $this->client($server)->moderateText(new ModerateTextRequest(text: 'hello')), RpcException::class, null, '');
    }

    public function testServerThatNeverAnswers(): void
    {
        $server = new Hostile('', true, 5000);
        $begin = \microtime(true);
        foreach (['unary', 'stream'] as $shape) {
            $this->expect(function () use ($shape, $server): void {
                $options = CallOptions::timeout(100);
                'unary' === $shape
                    ? $this->client($server)->moderateText(new ModerateTextRequest(text: 'hello'), $options)
                    : $this->client($server)->streamModerateText($options)->receive();
            }, RpcException::class, StatusCode::DEADLINE_EXCEEDED, 'deadline');
        }
        self::assertLessThan(2, \microtime(true) - $begin);
    }

    public function testMessageLargerThanTheLimitStopsTheTransfer(): void
    {
        $server = new Hostile(Hostile::frame(1, 4, "\0\7:status\x03200\0\x0ccontent-type\x10application/grpc") . Hostile::frame(0, 0, Hostile::message(\str_repeat('x', 3 << 20))));
        $before = \memory_get_usage();
        $this->expect(fn () => $this->client($server)->moderateText(new ModerateTextRequest(text: 'hello')), RpcException::class, null, '');
        self::assertLessThan(4 << 20, \memory_get_usage() - $before);
    }

    public function testUnknownEnumNumbersAndFieldsOfANewerServer(): void
    {
        $server = new Hostile(Hostile::grpc(Hostile::message((new ModerateTextResponse(action: 77, unknownFields: "\xfa\x3f\x03new"))->encode())));
        $answer = $this->client($server)->moderateText(new ModerateTextRequest(text: 'hello'));
        self::assertSame(77, $answer->action);
        self::assertSame("\xfa\x3f\x03new", $answer->unknownFields);
    }

    /** libcurl 7.88 keeps the processor busy while a window is closed, which is not the same as a call that was lost. */
    public function testAServerThatDoesNotReadForAWhileIsWaitedFor(): void
    {
        $server = new Hostile(Hostile::rest(Hostile::message('')), true, 30, Hostile::headers(), 400);
        $call = $this->client($server)->streamModerateText();
        for ($i = 0; $i < 40; ++$i) { // 160 KiB; the window has 64
            $call->send(new StreamModerateTextRequest(deployment: \str_repeat('x', 4096)));
        }
        $call->closeSend();
        self::assertCount(1, \iterator_to_array($call, false));
    }

    public function testMessagesBeforeAFailureAreHandedOut(): void
    {
        $two = Hostile::message('') . Hostile::message('');
        $server = new Hostile(Hostile::grpc($two, ['grpc-status' => '8', 'grpc-message' => 'enough']));
        $call = $this->client($server)->streamModerateText();
        $call->closeSend();
        self::assertNotNull($call->receive());
        self::assertNotNull($call->receive());
        $this->expectExceptionMessage('enough');
        $call->receive();
    }

    private function expect(\Closure $call, string $exception, ?StatusCode $code, string $message): void
    {
        try {
            $call();
            self::fail('the call went well');
        } catch (Exception $e) {
            self::assertInstanceOf(RpcException::class, $e);
            self::assertInstanceOf($exception, $e, \get_class($e) . ' ' . $e->getMessage());
            if (null !== $code) {
                self::assertSame($code, $e->error->code, $e->getMessage());
            }
            self::assertStringContainsString($message, $e->getMessage());
        }
    }

    private function client(Hostile $server): ModerationClient
    {
        return new ModerationClient(new CurlTransport(Endpoint::tcp('127.0.0.1', $server->port), new Settings(maxReceiveBytes: 1 << 20)));
    }
}
