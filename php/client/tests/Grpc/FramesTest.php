<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Grpc;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\Compression;
use Switchyard\Client\Grpc\BrokenFrame;
use Switchyard\Client\Grpc\Deadline;
use Switchyard\Client\Grpc\Frames;
use Switchyard\Client\Grpc\Head;
use Switchyard\Client\Grpc\Metadata;
use Switchyard\Client\Grpc\Outcome;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\ResponseMetadata;
use Switchyard\Client\RpcException;
use Switchyard\Client\WellKnown\EmptyMessage;

final class FramesTest extends TestCase
{
    public function testMessagesArriveInAnyPieces(): void
    {
        $messages = ['', 'a', \random_bytes(300), \str_repeat('text ', 500)];
        $body = '';
        foreach ($messages as $i => $message) {
            $body .= Frames::write($message, 0 === $i % 2 ? Compression::GZIP : Compression::NONE);
        }
        foreach ([1, 2, 7, 64, 5000] as $size) {
            $frames = new Frames(10_000);
            $got = [];
            foreach (\str_split($body, $size) as $piece) {
                $frames->push($piece);
                while ($frames->ready()) {
                    $got[] = $frames->next('gzip');
                }
            }
            self::assertSame($messages, $got, "pieces of $size bytes");
            self::assertFalse($frames->partial());
        }
    }

    public function testBytesWithoutSenseAreRefusedOrWaitedFor(): void
    {
        \mt_srand(7);
        for ($i = 0; $i < 3000; ++$i) {
            $frames = new Frames(1000);
            $bytes = '';
            for ($n = \mt_rand(0, 40); $n > 0; --$n) {
                $bytes .= \chr(0 === \mt_rand(0, 2) ? \mt_rand(0, 255) : \mt_rand(0, 2));
            }
            $frames->push($bytes);
            try {
                for ($k = 0; null !== $frames->next('gzip'); ++$k) {
                    self::assertLessThan(20, $k);
                }
            } catch (BrokenFrame $e) {
                self::assertNotSame('', $e->getMessage());
            }
        }
    }

    public function testHeadersWithoutSenseNeverWarn(): void
    {
        \mt_srand(11);
        $parts = ['HTTP/2 200', 'HTTP/', ':', 'grpc-status', ': ', '0', '13', 'grpc-status-details-bin: ', 'CAUSA', "\xff", 'content-type: application/grpc', "\r\n", '', '%', '%zz', 'grpc-message: a%C3'];
        for ($i = 0; $i < 3000; ++$i) {
            $head = new Head();
            for ($n = \mt_rand(0, 12); $n > 0; --$n) {
                $line = '';
                for ($k = \mt_rand(0, 4); $k > 0; --$k) {
                    $line .= $parts[\mt_rand(0, \count($parts) - 1)];
                }
                $head->line($line . "\r\n");
            }
            $head->export(new ResponseMetadata(), (bool) \mt_rand(0, 1));
            $failure = Outcome::of($head, new MethodDescriptor('/a/b', EmptyMessage::class), (bool) \mt_rand(0, 1));
            self::assertTrue(null === $failure || $failure instanceof RpcException);
            \json_encode($failure?->getMessage(), \JSON_THROW_ON_ERROR);
        }
    }

    public function testDeadlinesFitTheirHeader(): void
    {
        self::assertSame('1m', Deadline::in(0)->header());
        self::assertSame('99999999m', Deadline::in(99_999_999)->header());
        self::assertSame('100000S', Deadline::in(100_000_000)->header());
        self::assertSame('99999999S', Deadline::in(\PHP_INT_MAX)->header());
        self::assertNull(Deadline::in(null)->header());
        self::assertFalse(Deadline::in(\PHP_INT_MAX)->passed());
        self::assertSame(0, Deadline::in(null)->leftMillis());
    }

    public function testMetadataLines(): void
    {
        self::assertSame(['x-a: 1', 'x-a: 2', 'x-b;', 'x-c-bin: AP8'], Metadata::lines(['x-a' => ['1', '2'], 'x-b' => [''], 'x-c-bin' => ["\0\xff"]]));
        self::assertSame(["\0\xff", 'a'], Metadata::values('x-bin', 'AP8, YQ=='));
        self::assertSame(['AP8'], Metadata::values('x', 'AP8'));
    }
}
