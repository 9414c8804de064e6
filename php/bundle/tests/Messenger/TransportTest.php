<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Messenger;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Messenger\Spool\SpoolFullException;
use Switchyard\Bundle\Messenger\TaskStamp;
use Switchyard\Bundle\Messenger\Transport;
use Switchyard\Bundle\Messenger\TransportFactory;
use Switchyard\Bundle\Tests\Messenger\Support\Failing;
use Switchyard\Bundle\Tests\Messenger\Support\Log;
use Switchyard\Bundle\Tests\Messenger\Support\Note;
use Switchyard\Bundle\Tests\Messenger\Support\Queue;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Jobs\V1\GetQueueRequest;
use Switchyard\Jobs\V1\PublishTaskRequest;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Exception\InvalidArgumentException;
use Symfony\Component\Messenger\Exception\TransportException;
use Symfony\Component\Messenger\Stamp\DelayStamp;
use Symfony\Component\Messenger\Stamp\ErrorDetailsStamp;
use Symfony\Component\Messenger\Stamp\RedeliveryStamp;
use Symfony\Component\Messenger\Stamp\TransportMessageIdStamp;

final class TransportTest extends TestCase
{
    private static int $number = 0;

    private string $name;
    private string $spool;
    private Failing $client;
    private Log $log;
    private TransportFactory $factory;
    private Transport $transport;

    protected function setUp(): void
    {
        $server = Server::shared();
        $this->name = 'q' . \getmypid() . '-' . ++self::$number;
        $this->spool = Folder::make();
        $this->client = new Failing(Queue::client($server->socket, $server->key));
        $this->log = new Log();
        $this->factory = Queue::factory($this->client, $this->spool, $this->log);
        $this->transport = $this->open('wait=0');
    }

    public function testAMessageArrivesAsItWasSent(): void
    {
        $sent = $this->transport->send(new Envelope(new Note('ünïcode')));
        $got = Queue::take($this->transport);
        self::assertCount(1, $got);
        self::assertEquals(new Note('ünïcode'), $got[0]->getMessage());
        self::assertSame($sent->last(TransportMessageIdStamp::class)?->getId(), $got[0]->last(TransportMessageIdStamp::class)?->getId());
        $this->assertCounts(0, 0, 1, 0);
        self::assertSame([], Queue::take($this->transport), 'it is leased');
        $this->transport->ack($got[0]);
        $this->assertCounts(0, 0, 0, 0);
    }

    public function testADelayedMessageComesLater(): void
    {
        $this->transport->send(new Envelope(new Note('later'), [new DelayStamp(400)]));
        self::assertSame([], Queue::take($this->transport));
        self::assertSame(0, $this->transport->getMessageCount());
        self::assertCount(1, Queue::take($this->open('wait=5')));
    }

    public function testALookWaitsForAMessage(): void
    {
        $began = \microtime(true);
        self::assertSame([], Queue::take($this->open('wait=1')));
        self::assertGreaterThan(0.9, \microtime(true) - $began);
    }

    public function testAFailedMessageThatIsSentAgainIsNotDead(): void
    {
        $this->transport->send(new Envelope(new Note('fails')));
        [$failed] = Queue::take($this->transport);
        // As Messenger does it, twice: the worker died after sending and before rejecting, and the task came back.
        $retry = $failed->with(new DelayStamp(0), new RedeliveryStamp(1));
        $this->transport->send($retry);
        $again = $this->transport->send($retry->with(new RedeliveryStamp(1)));
        self::assertStringEndsWith('~1', $again->last(TransportMessageIdStamp::class)?->getId());
        $this->assertCounts(1, 0, 1, 0);
        $this->transport->reject($failed);
        $this->assertCounts(1, 0, 0, 0);
        [$second] = Queue::take($this->transport);
        self::assertSame(1, $second->last(RedeliveryStamp::class)?->getRetryCount());
        $this->transport->reject($second->with(ErrorDetailsStamp::create(new \RuntimeException('no more'))));
        $this->assertCounts(0, 0, 0, 1);
    }

    public function testAMessageThatGoesToAFailureQueueIsKeptThereOnly(): void
    {
        $failures = Queue::transport($this->factory, 'wait=0&queue=failed-' . $this->name);
        $this->transport->send(new Envelope(new Note('fails')));
        [$failed] = Queue::take($this->transport);
        $failures->send($failed->with(new DelayStamp(0), new RedeliveryStamp(0)));
        $this->transport->reject($failed);
        $this->assertCounts(0, 0, 0, 0);
        self::assertCount(1, Queue::take($failures));
    }

    public function testMessagesWaitHereWhileTheServerIsAway(): void
    {
        $this->client->away = true;
        for ($i = 0; $i < 5; ++$i) {
            $this->transport->send(new Envelope(new Note("n$i"), 4 === $i ? [new DelayStamp(60_000)] : []));
        }
        self::assertSame([], Queue::take($this->transport), 'a worker lives on');
        self::assertTrue($this->log->has('is kept on this machine'));
        $this->client->away = false;
        $all = Queue::take($this->open('wait=0&max=10'));
        self::assertSame(['n0', 'n1', 'n2', 'n3'], \array_map(static fn (Envelope $e): string => $e->getMessage()->text, $all));
        $this->assertCounts(0, 1, 4, 0);
        self::assertSame([], \glob($this->spool . '/default/tasks/*.task'));
    }

    public function testTheNextMessageThatIsSentHandsTheOthersOver(): void
    {
        $this->client->away = true;
        $this->transport->send(new Envelope(new Note('first')));
        $this->client->away = false;
        $this->transport->send(new Envelope(new Note('second')));
        $this->assertCounts(2, 0, 0, 0);
    }

    public function testAnAnswerThatIsLostMakesNoSecondMessage(): void
    {
        $this->client->deaf = true;
        $this->transport->send(new Envelope(new Note('once')));
        self::assertCount(1, \glob($this->spool . '/default/tasks/*.task'));
        $this->client->deaf = false;
        $got = Queue::take($this->open('wait=0&max=10'));
        self::assertCount(1, $got);
        $this->transport->ack($got[0]);
        self::assertSame([], Queue::take($this->transport));
        $this->assertCounts(0, 0, 0, 0);
    }

    public function testWhatWasHandledWhileTheServerWasAwayIsNotHandledAgain(): void
    {
        $this->transport->send(new Envelope(new Note('in time')));
        [$got] = Queue::take($this->transport);
        $this->client->away = true;
        $this->transport->ack($got);
        $this->client->away = false;
        self::assertSame([], Queue::take($this->transport));
        $this->assertCounts(0, 0, 0, 0);

        $short = $this->open('wait=5&lease=1');
        $this->transport->send(new Envelope(new Note('too late')));
        [$got] = Queue::take($short);
        $this->client->away = true;
        $this->transport->ack($got);
        \sleep(1);
        \usleep(100_000); // the lease ends
        $this->client->away = false;
        self::assertSame([], Queue::take($short), 'it came again, and was ended');
        self::assertTrue($this->log->has('is not handled again'));
        $this->assertCounts(0, 0, 0, 0);
        self::assertSame([], \glob($this->spool . '/default/{settled,lost}/*.end', \GLOB_BRACE));
    }

    public function testAFullSpoolRefusesMessagesByName(): void
    {
        $this->client->away = true;
        $small = $this->open('spool_messages=2');
        $small->send(new Envelope(new Note('1')));
        $small->send(new Envelope(new Note('2')));
        try {
            $small->send(new Envelope(new Note('3')));
            self::fail('a third message was kept');
        } catch (SpoolFullException $e) {
            self::assertStringContainsString('holds 2 files', $e->getMessage());
        }
        $this->expectException(SpoolFullException::class);
        $this->open('spool_bytes=100')->send(new Envelope(new Note(\str_repeat('x', 200))));
    }

    public function testDamagedFilesAreSetAsideAndReported(): void
    {
        $this->client->away = true;
        foreach (['cut', 'flipped', 'whole'] as $text) {
            $this->transport->send(new Envelope(new Note($text)));
        }
        [$cut, $flipped] = \glob($this->spool . '/default/tasks/*.task');
        \file_put_contents($cut, \substr(\file_get_contents($cut), 0, 60));
        $bytes = \file_get_contents($flipped);
        $bytes[50] = \chr(\ord($bytes[50]) ^ 1);
        \file_put_contents($flipped, $bytes);
        $this->client->away = false;
        $got = Queue::take($this->open('wait=0&max=10'));
        self::assertCount(1, $got);
        self::assertSame('whole', $got[0]->getMessage()->text);
        self::assertCount(2, \glob($this->spool . '/default/tasks/broken/*'));
        self::assertTrue($this->log->has('was set aside'));
    }

    public function testAMessageThatCannotBeReadHoldsNobodyUp(): void
    {
        $this->client->publishTask(new PublishTaskRequest($this->name, 'foreign', 'not serialized by PHP'));
        $this->transport->send(new Envelope(new Note('good')));
        $got = Queue::take($this->open('wait=0&max=10'));
        self::assertCount(1, $got);
        $this->assertCounts(0, 0, 1, 1);
        self::assertTrue($this->log->has('cannot be read and is given up'));
    }

    public function testAWorkerThatStopsGivesBackWhatItHasNotBegun(): void
    {
        for ($i = 0; $i < 3; ++$i) {
            $this->transport->send(new Envelope(new Note("n$i")));
        }
        foreach ($this->open('wait=0&max=3')->get() as $envelope) {
            $this->transport->ack($envelope);
            break;
        }
        unset($envelope);
        $this->assertCounts(2, 0, 0, 0);
    }

    public function testAMessageThatIsTooLargeIsRefusedHere(): void
    {
        $this->expectException(TransportException::class);
        $this->expectExceptionMessage('limit 1048576');
        $this->transport->send(new Envelope(new Note(\str_repeat('x', 1 << 20))));
    }

    public function testAKeyThatIsNotValidIsNoOutage(): void
    {
        $factory = Queue::factory(Queue::client(Server::shared()->socket, 'swy_nonsense'), $this->spool);
        $transport = Queue::transport($factory, 'wait=0');
        foreach ([static fn () => $transport->send(new Envelope(new Note('x'))), static fn () => Queue::take($transport), $transport->setup(...)] as $call) {
            try {
                $call();
                self::fail('was let in');
            } catch (TransportException $e) {
                self::assertStringContainsString('KEY_INVALID', $e->getMessage());
            }
        }
        self::assertSame([], \glob($this->spool . '/default/tasks/*.task'));
    }

    public function testSetUpHandsOverWhatWaits(): void
    {
        $this->client->away = true;
        $this->transport->send(new Envelope(new Note('x')));
        $this->client->away = false;
        $this->transport->setup();
        self::assertSame(1, $this->transport->getMessageCount());
    }

    /** @dataProvider badDsns */
    public function testABadDsnIsNamed(string $dsn, string $part): void
    {
        $this->expectException(InvalidArgumentException::class);
        $this->expectExceptionMessage($part);
        $this->factory->createTransport($dsn, [], new \Symfony\Component\Messenger\Transport\Serialization\PhpSerializer());
    }

    /** @return iterable<string, array{string, string}> */
    public static function badDsns(): iterable
    {
        yield 'no client' => ['switchyard://', 'looks like'];
        yield 'another client' => ['switchyard://other', '"other"'];
        yield 'unknown option' => ['switchyard://default?leese=1', '"leese"'];
        yield 'lease of nothing' => ['switchyard://default?lease=0', '"lease"'];
        yield 'wait of minutes' => ['switchyard://default?wait=60', '"wait"'];
        yield 'bad queue' => ['switchyard://default?queue=A%20B', '"queue"'];
    }

    public function testSuccessorsOfATaskHaveIdsThatFollowFromIt(): void
    {
        self::assertSame('a~1', (new TaskStamp('q', 'a', 'l'))->successorId());
        self::assertSame('a~10', (new TaskStamp('q', 'a~9', 'l'))->successorId());
        self::assertLessThanOrEqual(128, \strlen((new TaskStamp('q', \str_repeat('x', 128), 'l'))->successorId()));
    }

    private function open(string $options): Transport
    {
        return Queue::transport($this->factory, $options . '&queue=' . $this->name);
    }

    private function assertCounts(int $due, int $delayed, int $leased, int $dead): void
    {
        $q = $this->client->getQueue(new GetQueueRequest($this->name));
        self::assertSame([$due, $delayed, $leased, $dead], [$q->due, $q->delayed, $q->leased, $q->dead], 'due, delayed, leased, dead');
    }
}
