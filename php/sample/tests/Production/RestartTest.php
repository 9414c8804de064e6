<?php

declare(strict_types=1);

namespace App\Tests\Production;

use App\Tests\Support\Site;
use App\Tests\Support\Visitor;
use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Messenger\TransportFactory;
use Switchyard\Client\Tests\Support\Server;

/** A thousand forms are sent by eight visitors to four workers of php-fpm, while the server is killed and started again twice. */
final class RestartTest extends TestCase
{
    private const REQUESTS = 1000;
    private const VISITORS = 8;
    private const WORKERS = 4;

    /** Seconds. The longest deadline of these pages is 0.8 s; a request may wait for a worker as long again, and the machine does other things too. */
    private const SLOWEST = 4.0;

    private Server $server;
    private Site $site;

    /** @var array<string, int> how often what was answered */
    private array $answers = [];

    private float $slowest = 0;

    public function testEveryFormIsAnsweredAndNoCommentIsLost(): void
    {
        if (!\class_exists(TransportFactory::class)) {
            self::markTestSkipped('the bundle has no transport yet that keeps comments');
        }
        $this->server = Server::start();
        $this->site = new Site($this->server, self::WORKERS);
        $visitors = [];
        for ($i = 0; $i < self::VISITORS; ++$i) {
            $visitors[] = $visitor = new Visitor($this->site->url);
            \array_map($visitor->get(...), ['/', '/contact', '/expenses']);
        }
        // Killed with requests on their way; started again when none is, since a child of this process would hold their sockets open.
        $this->send($visitors, 0, 300, killAt: 200);
        $this->server->restart();
        $this->send($visitors, 300, 650, killAt: 550);
        $this->server->restart();
        $this->send($visitors, 650, self::REQUESTS);

        $said = \print_r($this->answers, true) . \sprintf("slowest %.3f s\n", $this->slowest) . \substr($this->site->complaints(), 0, 3000);
        self::assertSame(self::REQUESTS, \array_sum($this->answers), $said);
        self::assertSame([], \array_diff_key($this->answers, ['comment 303' => 1, 'contact 303' => 1, 'expense_import 303' => 1]), $said);
        self::assertLessThan(self::SLOWEST, $this->slowest, $said);
        self::assertDoesNotMatchRegularExpression('/PHP (Fatal|Parse|Warning|Deprecated|Notice)|CRITICAL/i', $this->site->complaints());

        $comments = $this->site->query('SELECT count(*) AS n FROM comments')[0]['n'];
        self::assertSame($this->answers['comment 303'], $comments, 'what was accepted is stored');
        self::assertGreaterThan(10, $this->waiting(), 'the server was away');
        // Three of five forms are comments, and the first 200 forms come before the first kill. How many more are moderated at once depends on how long the circuit breaker waits.
        self::assertGreaterThan(100, $comments - $this->waiting(), 'and it was there');
        $inquiries = \array_column($this->site->query("SELECT content ->> '$.route.decisionId' = '' AS unsorted, count(*) AS n FROM inquiries GROUP BY 1 ORDER BY 1"), 'n', 'unsorted');
        self::assertSame($this->answers['contact 303'], \array_sum($inquiries));
        self::assertCount(2, $inquiries, 'some inquiries were sorted, some were not');

        $this->consume();
        self::assertSame(0, $this->waiting(), 'every comment that waited has its answer');
        self::assertSame([['state' => 'review', 'n' => $comments]], $this->site->query("SELECT state, count(*) AS n FROM comments WHERE decision <> '' GROUP BY 1"));
    }

    /**
     * Sends forms number $from to $to - 1, each visitor one at a time.
     *
     * @param list<Visitor> $visitors
     */
    private function send(array $visitors, int $from, int $to, ?int $killAt = null): void
    {
        $multi = \curl_multi_init();
        $idle = $visitors;
        $busy = [];
        for ($next = $from; $next < $to || [] !== $busy;) {
            while ($next < $to && [] !== $idle) {
                $visitor = \array_pop($idle);
                $form = self::form($visitor, $next++);
                \curl_multi_add_handle($multi, $visitor->curl);
                $busy[\spl_object_id($visitor->curl)] = [$visitor, $form, \microtime(true)];
            }
            \curl_multi_exec($multi, $running);
            if ($next === $killAt) {
                $this->server->kill();
            }
            \curl_multi_select($multi, 0.05);
            while (false !== $info = \curl_multi_info_read($multi)) {
                [$visitor, $form, $began] = $busy[$id = \spl_object_id($info['handle'])];
                unset($busy[$id]);
                \curl_multi_remove_handle($multi, $visitor->curl);
                $this->slowest = \max($this->slowest, \microtime(true) - $began);
                $answer = $form . ' ' . (\CURLE_OK === $info['result'] ? $visitor->status() : \curl_strerror($info['result']));
                $this->answers[$answer] = ($this->answers[$answer] ?? 0) + 1;
                $idle[] = $visitor;
            }
        }
    }

    /** @return string name of the form */
    private static function form(Visitor $visitor, int $number): string
    {
        if (0 === $number % 5) {
            $visitor->prepare('/contact', $form = 'contact', ['email' => 'ada@example.org', 'subject' => "Question $number", 'body' => 'I cannot log in since this morning.']);
        } elseif (1 === $number % 5) {
            $visitor->prepare('/expenses', $form = 'expense_import', ['text' => \str_repeat("2026-11-02; Night train to Vienna; 89,90\n", 20)]);
        } else {
            $visitor->prepare('/', $form = 'comment', ['author' => "Visitor $number", 'text' => "This is what visitor $number thinks of the siding."]);
        }

        return $form;
    }

    private function waiting(): int
    {
        return $this->site->query("SELECT count(*) AS n FROM comments WHERE state = 'queued'")[0]['n'];
    }

    /** Runs the worker as its systemd unit does, until nothing waits. */
    private function consume(): void
    {
        $until = \microtime(true) + 60;
        do {
            $this->site->console('messenger:consume', 'later', '--time-limit=3', '--memory-limit=128M');
        } while ($this->waiting() > 0 && \microtime(true) < $until);
    }
}
