<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Moderation\ModerationState;
use Switchyard\Bundle\Tests\Support\BrokenTransportFactory;
use Switchyard\Bundle\Tests\Support\Comment;
use Switchyard\Bundle\Tests\Support\Outcomes;
use Switchyard\Bundle\Tests\Support\TestKernel;
use Switchyard\Client\Connection;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Moderation\V1\CreateRuleRequest;
use Switchyard\Moderation\V1\ModerationClient;
use Switchyard\Moderation\V1\RuleKind;
use Symfony\Component\EventDispatcher\EventDispatcherInterface;
use Symfony\Component\Messenger\Event\WorkerRunningEvent;
use Symfony\Component\Messenger\EventListener\StopWorkerOnMessageLimitListener;
use Symfony\Component\Messenger\EventListener\StopWorkerOnTimeLimitListener;
use Symfony\Component\Messenger\Worker;

/** The constraint and Messenger against a real server that goes away and comes back. */
final class QueueTest extends TestCase
{
    public function testTextsAreModeratedAtOnceWhileTheServerAnswers(): void
    {
        $server = self::server();
        $kernel = self::kernel($server);
        $comment = self::comment($kernel, 'you blockhead');
        self::assertSame(ModerationState::REMOVED, $comment->moderation?->state);
        self::assertSame('insult', $comment->moderation->category());
        self::assertNotSame('', $comment->moderation->rule());

        $comment = self::comment($kernel, 'what a lovely day');
        self::assertSame(ModerationState::REVIEW, $comment->moderation?->state);
        self::assertNotNull($comment->moderation->decisionId());
    }

    public function testNoneIsLostWhileTheServerRestarts(): void
    {
        $server = self::server();
        $kernel = self::kernel($server);
        $server->kill();
        $references = [];
        foreach (['you blockhead', 'hello there', 'what a blockhead you are', 'nice work', 'thanks'] as $text) {
            $comment = self::comment($kernel, $text);
            self::assertSame(ModerationState::QUEUED, $comment->moderation?->state);
            $references[$comment->moderation->reference] = $text;
        }
        self::assertCount(5, $references);
        // The worker meets a dead server more often than the transport's max_retries (1) allows.
        self::work($kernel, 4 * \count($references));
        $outcomes = $kernel->getContainer()->get(Outcomes::class);
        self::assertSame([], $outcomes->events);

        $server->restart();
        self::work($kernel, 200, static fn (): bool => 5 === \count($outcomes->events));
        $found = [];
        foreach ($outcomes->events as $event) {
            self::assertSame('body', $event->message->property);
            $found[$event->moderation->reference] = $event->message->text;
            self::assertSame(\str_contains($event->message->text, 'blockhead') ? ModerationState::REMOVED : ModerationState::REVIEW, $event->moderation->state);
        }
        self::assertEqualsCanonicalizing($references, $found);
    }

    public function testWhatTimeDoesNotMendGoesToTheFailureTransport(): void
    {
        $server = self::server();
        $kernel = self::kernel($server, ['key' => 'sy_invalid']);
        $comment = self::comment($kernel, 'hello');
        self::assertSame(ModerationState::QUEUED, $comment->moderation?->state);
        self::assertSame('KEY_INVALID', $comment->moderation->failure?->error->reason);
        self::assertContains('error', \array_column($kernel->getContainer()->get('logger')->records, 0));

        self::work($kernel, 3, static fn (): bool => [] !== [...self::transport($kernel, 'failed')->get()]);
        self::assertSame([], $kernel->getContainer()->get(Outcomes::class)->events);
        self::assertCount(1, self::transport($kernel, 'failed')->get());
    }

    public function testATextThatTheTransportDoesNotTakeIsNotAccepted(): void
    {
        $server = self::server();
        $kernel = self::kernel($server, ['messenger' => ['transport' => 'broken']]);
        $server->kill();
        self::assertSame(ModerationState::UNAVAILABLE, self::comment($kernel, 'hello')->moderation?->state);
        self::assertNotEmpty(\array_filter($kernel->getContainer()->get('logger')->records, static fn (array $record): bool => \str_contains($record[1], 'could not be queued')));
    }

    private static function server(): Server
    {
        $server = Server::start();
        $client = new ModerationClient(Connection::open('unix://' . $server->socket, key: $server->key));
        $client->createRule(new CreateRuleRequest(kind: RuleKind::DENY, pattern: 'blockhead', category: 'insult'));

        return $server;
    }

    /** @param array<string, mixed> $config */
    private static function kernel(Server $server, array $config = []): TestKernel
    {
        $kernel = (new TestKernel(\array_replace_recursive([
            'dsn' => 'unix://' . $server->socket, 'key' => $server->key, 'retries' => 0, 'circuit_breaker' => false,
            'moderation' => ['on_unavailable' => 'queue'],
            'messenger' => ['transport' => 'async', 'delay' => 0],
        ], $config)))
            ->withFramework([
                'validation' => ['enabled' => true, 'enable_annotations' => true],
                'messenger' => ['failure_transport' => 'failed', 'transports' => [
                    'async' => ['dsn' => 'in-memory://', 'retry_strategy' => ['max_retries' => 1, 'delay' => 0]],
                    'failed' => 'in-memory://',
                    'broken' => 'broken://',
                ]],
            ])
            ->withService(Outcomes::class)
            ->withService(BrokenTransportFactory::class);
        $kernel->boot();

        return $kernel;
    }

    private static function comment(TestKernel $kernel, string $text): Comment
    {
        $comment = new Comment();
        $comment->body = $text;
        $kernel->getContainer()->get('validator')->validate($comment);

        return $comment;
    }

    /** Runs Messenger's worker for so many messages, or until there is nothing more to do. */
    private static function work(TestKernel $kernel, int $messages, ?\Closure $done = null): void
    {
        $container = $kernel->getContainer();
        $events = $container->get('event_dispatcher');
        \assert($events instanceof EventDispatcherInterface);
        $limit = new StopWorkerOnMessageLimitListener($messages);
        $time = new StopWorkerOnTimeLimitListener(10);
        $events->addSubscriber($limit);
        $events->addSubscriber($time);
        $stop = static function ($event) use ($done): void {
            if (null !== $done && $done()) {
                $event->getWorker()->stop();
            }
        };
        $events->addListener(WorkerRunningEvent::class, $stop);
        (new Worker(['async' => self::transport($kernel, 'async')], $container->get('messenger.default_bus'), $events))->run(['sleep' => 1000]);
        $events->removeSubscriber($limit);
        $events->removeSubscriber($time);
        $events->removeListener(WorkerRunningEvent::class, $stop);
    }

    private static function transport(TestKernel $kernel, string $name): object
    {
        return $kernel->getContainer()->get('messenger.receiver_locator')->get($name);
    }
}
