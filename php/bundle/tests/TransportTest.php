<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Messenger\TransportFactory;
use Switchyard\Bundle\Moderation\ModerationState;
use Switchyard\Bundle\Tests\Support\Comment;
use Switchyard\Bundle\Tests\Support\Outcomes;
use Switchyard\Bundle\Tests\Support\TestKernel;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Server;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Tester\ApplicationTester;

/** The queue of texts on switchyard:// itself: kept in the spool folder while the server is away, in the server afterwards. */
final class TransportTest extends TestCase
{
    protected function setUp(): void
    {
        if (!\class_exists(TransportFactory::class)) {
            self::markTestSkipped('the transport switchyard:// is not part of this checkout');
        }
    }

    public function testTextsOutliveTheServerAndTheApplicationOnTheirWay(): void
    {
        $server = Server::start();
        $dir = Folder::make();
        $kernel = self::kernel($server, $dir);
        $server->kill();
        $waiting = [];
        foreach (['hello there', 'nice work', 'thanks'] as $text) {
            $comment = new Comment();
            $comment->body = $text;
            $kernel->getContainer()->get('validator')->validate($comment);
            self::assertSame(ModerationState::QUEUED, $comment->moderation?->state);
            $waiting[$comment->moderation->reference] = $text;
        }
        $kernel->shutdown();

        $server->restart();
        $kernel = self::kernel($server, $dir);
        $application = new Application($kernel);
        $application->setAutoExit(false);
        $tester = new ApplicationTester($application);
        $found = [];
        for ($i = 0; $i < 5 && \count($found) < \count($waiting); ++$i) {
            self::assertSame(0, $tester->run(['command' => 'messenger:consume', 'receivers' => ['later'], '--limit' => 3, '--time-limit' => 5]), $tester->getDisplay());
            foreach ($kernel->getContainer()->get(Outcomes::class)->events as $event) {
                $found[$event->moderation->reference] = $event->message->text;
                self::assertSame(ModerationState::REVIEW, $event->moderation->state);
            }
        }
        self::assertEqualsCanonicalizing($waiting, $found);
        self::assertSame(\array_keys($waiting), \array_keys(\array_intersect_key($waiting, $found)));
    }

    private static function kernel(Server $server, string $dir): TestKernel
    {
        $kernel = (new TestKernel([
            'dsn' => 'unix://' . $server->socket, 'key' => $server->key, 'retries' => 0, 'circuit_breaker' => false,
            'moderation' => ['on_unavailable' => 'queue'],
            'messenger' => ['transport' => 'later', 'delay' => 0, 'spool_dir' => $dir . '/spool'],
        ], true, 'test', $dir))
            ->withFramework([
                'validation' => ['enabled' => true, 'enable_annotations' => true],
                'messenger' => ['transports' => ['later' => 'switchyard://default?queue=later&lease=10&wait=1']],
            ])
            ->withService(Outcomes::class);
        $kernel->boot();

        return $kernel;
    }
}
