<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Curl;

use PHPUnit\Framework\TestCase;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Compression;
use Switchyard\Client\Connection;
use Switchyard\Client\ResponseMetadata;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;
use Switchyard\Client\Tests\Support\Certificates;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Client\Transport;
use Switchyard\Models\V1\DownloadArtifactRequest;
use Switchyard\Models\V1\GetVersionRequest;
use Switchyard\Models\V1\ModelClient;
use Switchyard\Models\V1\RegisterVersionRequest;
use Switchyard\Models\V1\VersionSpec;
use Switchyard\Models\V1\WatchDeploymentsRequest;
use Switchyard\Moderation\V1\Action;
use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerationClient;
use Switchyard\Moderation\V1\StreamModerateTextRequest;
use Switchyard\Moderation\V1\TextItem;

/** All four kinds of calls over every kind of connection, against the real server. */
final class TransportTest extends TestCase
{
    private static ?Server $mtls = null;
    private static ?Certificates $certificates = null;

    public static function tearDownAfterClass(): void
    {
        self::$mtls?->kill();
        self::$mtls = self::$certificates = null;
    }

    /** @return iterable<string, array{string}> */
    public function connections(): iterable
    {
        yield 'unix socket' => ['unix'];
        yield 'plaintext TCP' => ['tcp'];
        yield 'TLS with a client certificate' => ['mtls'];
    }

    /** libcurl 7.88 loses bytes of such a stream unless its buffer is large; each answer has to come, in order. */
    public function testThousandsOfMessagesInBothDirectionsAtOnce(): void
    {
        $call = (new ModerationClient($this->open('unix')))->streamModerateText();
        $next = 0;
        for ($i = 0; $i < 5000; ++$i) {
            $call->send(new StreamModerateTextRequest(deployment: 0 === $i ? 'comments' : '', item: new TextItem(text: "win a free prize now $i")));
            while (null !== $answer = $call->receive(0)) {
                self::assertSame($next++, $answer->index);
            }
        }
        $call->closeSend();
        foreach ($call as $answer) {
            self::assertSame($next++, $answer->index);
        }
        self::assertSame(5000, $next);
    }

    /** @dataProvider connections */
    public function testUnaryCallsReuseTheTransport(string $kind): void
    {
        $moderation = new ModerationClient($this->open($kind));
        for ($i = 0; $i < 5; ++$i) {
            $answer = $moderation->moderateText(new ModerateTextRequest(deployment: 'comments', text: "win a free prize now $i"));
            self::assertInstanceOf(Action::class, $answer->action);
            self::assertNotSame('', $answer->decision->decisionId);
        }
    }

    /** @dataProvider connections */
    public function testServerStreamDeliversAnArtifactAndClientStreamTakesItBack(string $kind): void
    {
        $models = new ModelClient($this->open($kind));
        $version = $models->getVersion(new GetVersionRequest(model: 'starter-spam', version: 1))->version;
        $artifact = '';
        foreach ($models->downloadArtifact(new DownloadArtifactRequest(model: 'starter-spam', version: 1)) as $part) {
            $artifact .= $part->chunk;
        }
        self::assertSame($version->digest, 'sha256:' . \hash('sha256', $artifact));

        $call = $models->registerVersion();
        $call->send(new RegisterVersionRequest(spec: new VersionSpec('copy-' . $kind, $version->operation, $version->digest, $version->harmlessLabels)));
        foreach (\str_split($artifact, 1 << 18) as $chunk) {
            $call->send(new RegisterVersionRequest(chunk: $chunk));
        }
        self::assertSame(1, $call->closeAndReceive()->version->version);
    }

    /** @dataProvider connections */
    public function testBidirectionalStreamAnswersEachRequestAtOnce(string $kind): void
    {
        $call = (new ModerationClient($this->open($kind)))->streamModerateText();
        for ($i = 0; $i < 20; ++$i) {
            $call->send(new StreamModerateTextRequest(deployment: 0 === $i ? 'comments' : '', item: new TextItem(text: "text number $i")));
            self::assertNotNull($call->receive());
        }
        self::assertNull($call->receive(0.0));
        $call->closeSend();
        self::assertNull($call->receive());
    }

    /** @dataProvider connections */
    public function testEarlyErrorOfAClientStreamIsKept(string $kind): void
    {
        $call = (new ModelClient($this->open($kind)))->registerVersion();
        try {
            $call->send(new RegisterVersionRequest(chunk: 'an artifact without a specification'));
            $call->closeAndReceive();
            self::fail('the server took it');
        } catch (RpcException $e) {
            self::assertSame(StatusCode::INVALID_ARGUMENT, $e->error->code, $e->getMessage());
        }
    }

    /** @dataProvider connections */
    public function testStreamsSendManyMessagesWithFlatMemory(string $kind): void
    {
        $call = (new ModerationClient($this->open($kind)))->streamModerateText();
        $received = 0;
        $peak = 0;
        for ($i = 0; $i < 2000; ++$i) {
            $call->send(new StreamModerateTextRequest(deployment: 0 === $i ? 'comments' : '', item: new TextItem(text: "hello number $i")));
            while (null !== $call->receive(0.0)) {
                ++$received;
            }
            if (200 === $i) {
                $peak = \memory_get_usage();
            }
        }
        $grown = \memory_get_usage() - $peak;
        $call->closeSend();
        foreach ($call as $_) {
            ++$received;
        }
        self::assertSame(2000, $received);
        self::assertLessThan(2 << 20, $grown);
    }

    public function testLeavingTheLoopCancelsAWatch(): void
    {
        $models = new ModelClient($this->open('unix'));
        $ended = [];
        $options = (new CallOptions())->withObserver(static function (StatusCode $code) use (&$ended): void { $ended[] = $code; });
        foreach ($models->watchDeployments(new WatchDeploymentsRequest(), $options) as $_) {
            break;
        }
        self::assertSame([StatusCode::CANCELLED], $ended);
    }

    public function testReceiveReturnsWhenItsTimeIsUp(): void
    {
        $call = (new ModerationClient($this->open('unix')))->streamModerateText();
        $begin = \microtime(true);
        self::assertNull($call->receive(0.05));
        self::assertEqualsWithDelta(0.05, \microtime(true) - $begin, 0.3);
        $call->send(new StreamModerateTextRequest(deployment: 'comments', item: new TextItem(text: 'the call goes on')));
        self::assertNotNull($call->receive());
        $call->cancel();
        self::assertNull($call->receive());
    }

    public function testTwoStreamsRunAtTheSameTime(): void
    {
        $moderation = new ModerationClient($this->open('tcp'));
        $calls = [$moderation->streamModerateText(), $moderation->streamModerateText()];
        foreach ([0, 1, 1, 0] as $i => $n) {
            $calls[$n]->send(new StreamModerateTextRequest(deployment: $i < 2 ? 'comments' : '', item: new TextItem(text: "text $i")));
        }
        $moderation->moderateText(new ModerateTextRequest(deployment: 'comments', text: 'in between'));
        foreach ($calls as $call) {
            $call->closeSend();
            self::assertCount(2, \iterator_to_array($call, false));
        }
    }

    public function testCancellationEndsAWaitingCall(): void
    {
        $at = \microtime(true) + 0.05;
        $call = (new ModerationClient($this->open('unix')))->streamModerateText((new CallOptions())->withCancellation(static fn (): bool => \microtime(true) > $at));
        $this->expectExceptionCode(StatusCode::CANCELLED->value);
        $call->receive();
    }

    public function testGzipAndMetadata(): void
    {
        $metadata = new ResponseMetadata();
        $options = (new CallOptions())->withCompression(Compression::GZIP)->withResponseMetadata($metadata)->withMetadata('x-tool-bin', "\0\xff")->withMetadata('x-empty', '');
        (new ModerationClient($this->open('tcp')))->moderateText(new ModerateTextRequest(deployment: 'comments', text: \str_repeat('hello ', 2000)), $options);
        self::assertSame(1, $metadata->attempts);
        self::assertSame(['application/grpc'], $metadata->headers['content-type']);
    }

    private function open(string $kind): Transport
    {
        if ('mtls' === $kind) {
            self::$certificates ??= new Certificates(Folder::make());
            [$certificate, $key] = self::$certificates->issue('server');
            $ca = self::$certificates->ca;
            self::$mtls ??= Server::start("  tls: {cert_file: $certificate, key_file: $key, ca_file: $ca}\n");
            [$certificate, $key] = self::$certificates->issue('client');

            return Connection::open(\sprintf('tls://127.0.0.1:%d?ca=%s&cert=%s&key=%s', self::$mtls->port, $ca, $certificate, $key), self::$mtls->key);
        }
        $server = Server::shared();

        return Connection::open('unix' === $kind ? 'unix://' . $server->socket : 'tcp://127.0.0.1:' . $server->port, $server->key);
    }
}
