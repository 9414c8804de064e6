<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Client\RequestTrace;
use Switchyard\Bundle\Tests\Support\WebServer;
use Switchyard\Client\Connection;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Decisions\V1\DecisionClient;
use Switchyard\Decisions\V1\GetDecisionRequest;
use Switchyard\Moderation\V1\CreateRuleRequest;
use Switchyard\Moderation\V1\ModerationClient;
use Switchyard\Moderation\V1\RuleKind;
use Symfony\Bundle\WebProfilerBundle\WebProfilerBundle;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;

/** The profiler of an application that is served over HTTP, looked at as a browser does. */
final class ProfilerTest extends TestCase
{
    private const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

    private static WebServer $web;
    private static string $page;
    private static string $token;

    public static function setUpBeforeClass(): void
    {
        if (!\class_exists(WebProfilerBundle::class)) {
            self::markTestSkipped('symfony/web-profiler-bundle is not installed');
        }
        $server = Server::shared();
        (new ModerationClient(Connection::open('unix://' . $server->socket, key: $server->key)))->createRule(new CreateRuleRequest(kind: RuleKind::DENY, pattern: 'nincompoop', category: 'insult', deployment: 'comments'));
        self::$web = WebServer::start(__DIR__ . '/Profiler/page.php', ['TEST_DSN' => 'unix://' . $server->socket, 'TEST_KEY' => $server->key]);
        [self::$page, $headers] = self::$web->get('/page', ['traceparent: ' . self::TRACE]);
        self::assertMatchesRegularExpression('~^x-debug-token: (\w+)~mi', $headers, self::$page . self::$web->log());
        \preg_match('~^x-debug-token: (\w+)~mi', $headers, $match);
        self::$token = $match[1];
    }

    public function testTheToolbarCountsCallsAndFailures(): void
    {
        [$toolbar] = self::$web->get('/_wdt/' . self::$token);
        $text = self::words($toolbar);
        self::assertStringContainsString('Switchyard calls 6', $text);
        self::assertStringContainsString('Failed 1', $text);
        self::assertStringContainsString('Decisions: review 10', $text);
        self::assertStringContainsString('Decisions: automated 1', $text);
        self::assertMatchesRegularExpression('/sf-toolbar-block-switchyard[^"]* sf-toolbar-status-red/', $toolbar);
    }

    public function testThePanelShowsCallsDecisionsAndWhy(): void
    {
        $panel = $this->panel();
        $text = self::words($panel);
        foreach (['OK ModerateText switchyard.moderation.v1.ModerationService', 'remove automated moderation/comments', 'A rule decided before the model was asked', 'Hardware', 'bin/console switchyard:explain', 'stream: 8 sent, 8 received', 'the first 5 of 8', 'UNAVAILABLE ListRules', 'cannot connect to unix:///nowhere/s', '3 attempts'] as $expected) {
            self::assertStringContainsString($expected, $text);
        }
        self::assertMatchesRegularExpression('~href="https://switchyard.example/decisions/[0-9a-f-]{36}"~', $panel);
        self::assertStringContainsString(self::TRACE, $panel);
    }

    public function testTextsAreEscapedAndSecretsMasked(): void
    {
        $panel = $this->panel();
        self::assertStringNotContainsString('<b>day</b>', $panel);
        self::assertStringContainsString('&lt;b&gt;day&lt;/b&gt;', $panel);
        self::assertSame(1, \preg_match('~<p id="secret">(.+?)</p>~', self::$page, $match));
        self::assertStringNotContainsString($match[1], $panel);
        self::assertStringContainsString('&quot;secret&quot;: &quot;******&quot;', $panel);
        self::assertStringNotContainsString(Server::shared()->key, $panel);
    }

    public function testCallsAreInTheTimeline(): void
    {
        [$timeline] = self::$web->get('/_profiler/' . self::$token . '?panel=time');
        $timeline = (string) \preg_replace_callback('/\\\\(?:x|u00)([0-9A-Fa-f]{2})/', static fn (array $m): string => \chr((int) \hexdec($m[1])), $timeline);
        self::assertTrue(\str_contains($timeline, 'switchyard ModerateText #1'));
        self::assertTrue(\str_contains($timeline, 'switchyard StreamModerateText #4'));
    }

    public function testTheServerRecordsTheTraceOfTheRequest(): void
    {
        self::assertSame(1, \preg_match('/switchyard:explain ([0-9a-f-]{36})/', $this->panel(), $match));
        $server = Server::shared();
        $record = (new DecisionClient(Connection::open('unix://' . $server->socket, key: $server->key)))->getDecision(new GetDecisionRequest($match[1]))->record;
        self::assertStringContainsString(\explode('-', self::TRACE)[1], (string) $record?->traceparent);
    }

    public function testTheTraceIsThatOfTheMainRequest(): void
    {
        $trace = new RequestTrace($stack = new RequestStack());
        self::assertNull($trace->traceparent());
        $stack->push(Request::create('/', server: ['HTTP_TRACEPARENT' => self::TRACE]));
        $stack->push(Request::create('/fragment'));
        self::assertSame(self::TRACE, $trace->traceparent());
    }

    public function testThePanelLooksRightInABrowser(): void
    {
        $chromium = \trim((string) \shell_exec('command -v chromium'));
        if ('' === $chromium) {
            self::markTestSkipped('chromium is not installed');
        }
        $file = \getenv('SWITCHYARD_SCREENSHOT') ?: self::$web->dir . '/panel.png';
        self::$web->screenshot($chromium, '/_profiler/' . self::$token . '?panel=switchyard', $file);
        [$width, $height] = \getimagesize($file);
        self::assertSame([1400, 2000], [$width, $height]);
        self::assertGreaterThan(50_000, \filesize($file), 'an empty page is smaller');
    }

    private function panel(): string
    {
        [$panel] = self::$web->get('/_profiler/' . self::$token . '?panel=switchyard');

        return $panel;
    }

    private static function words(string $html): string
    {
        return \trim((string) \preg_replace('/\s+/', ' ', \html_entity_decode(\strip_tags(\str_replace('<', ' <', $html)))));
    }
}
