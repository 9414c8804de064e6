<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Test\SwitchyardAssertionsTrait;
use Switchyard\Bundle\Tests\Support\Records;
use Switchyard\Bundle\Tests\Support\TestKernel;
use Switchyard\Client\Connection;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Decisions\V1\DecisionClientInterface;
use Switchyard\Moderation\V1\CreateRuleRequest;
use Switchyard\Moderation\V1\ModerationClient;
use Switchyard\Moderation\V1\RuleKind;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Component\Console\Tester\ApplicationTester;

/** The commands against a real server. */
final class CommandTest extends TestCase
{
    use SwitchyardAssertionsTrait;

    public function testPingSaysWhoAnswersAndWhoDoesNot(): void
    {
        $server = Server::shared();
        [$code, $out] = self::command(['command' => 'switchyard:ping', '--count' => '5']);
        self::assertSame(0, $code, $out);
        self::assertMatchesRegularExpression('/^default: answers in [0-9.]+ ms \(fastest .* 5 calls\) as key \S+ "development" of project default, scopes: \*/', $out);

        [$code, $out] = self::command(['command' => 'switchyard:ping'], ['clients' => ['default' => ['dsn' => 'unix://' . $server->socket, 'key' => $server->key], 'gone' => 'unix:///nowhere/s']]);
        self::assertSame(1, $code);
        self::assertStringContainsString('default: answers in', $out);
        self::assertMatchesRegularExpression('~^gone: .*/nowhere/s.*no such socket~m', $out);

        [$code, $out] = self::command(['command' => 'switchyard:ping', '--json' => true]);
        self::assertSame(['default'], \array_keys(\json_decode($out, true)));
        self::assertSame(2, self::command(['command' => 'switchyard:ping', '--client' => 'x'])[0]);
        self::assertSame(2, self::command(['command' => 'switchyard:ping', '--count' => '0'])[0]);
    }

    public function testDoctorExaminesPhpTheServersAndTheQueue(): void
    {
        [$code, $out] = self::command(['command' => 'switchyard:doctor']);
        self::assertSame(0, $code, $out);
        self::assertMatchesRegularExpression('/ok +libcurl +\S+/', $out);
        self::assertMatchesRegularExpression('/ok +server +unix:.* serving/', $out);
        self::assertMatchesRegularExpression('/ok +queue .*ModerateLater is routed to no transport/', $out);

        [$code, $out] = self::command(['command' => 'switchyard:doctor'], ['moderation' => ['on_unavailable' => 'queue']]);
        self::assertSame(1, $code, 'queue is asked for, and impossible');
        self::assertMatchesRegularExpression('/FAILED +queue/', $out);
        self::assertSame(1, self::command(['command' => 'switchyard:doctor'], ['dsn' => 'unix:///nowhere/s'])[0]);
    }

    public function testModerateShowsActionRuleAndDecision(): void
    {
        $server = Server::shared();
        (new ModerationClient(Connection::open('unix://' . $server->socket, key: $server->key)))->createRule(new CreateRuleRequest(kind: RuleKind::DENY, pattern: 'nincompoop', category: 'insult'));
        [$code, $out] = self::command(['command' => 'switchyard:moderate', 'text' => 'you nincompoop']);
        self::assertSame(0, $code, $out);
        self::assertMatchesRegularExpression('/Action +Remove/', $out);
        self::assertMatchesRegularExpression('/Rules +.*\(insult\)/', $out);
        self::assertMatchesRegularExpression('/Outcome +Automated: a rule decided before the model was asked/', $out);
        self::assertMatchesRegularExpression('/Decision +[0-9a-f-]{36}/', $out);

        [$code, $out] = self::command(['command' => 'switchyard:moderate', 'text' => 'what a <info>lovely</info> day', '--json' => true]);
        self::assertSame(0, $code);
        self::assertSame('ACTION_REVIEW', \json_decode($out)->action);
    }

    public function testRouteShowsTheQueueAndItsAlternatives(): void
    {
        [$code, $out] = self::command(['command' => 'switchyard:route', 'body' => 'My laptop does not start any more', '--subject' => 'broken']);
        self::assertSame(0, $code, $out);
        self::assertMatchesRegularExpression('/Queue +Hardware/', $out);
        self::assertMatchesRegularExpression('/\* Hardware +[0-9.]+ % +#+/', $out);
        self::assertMatchesRegularExpression('/Language +en/', $out);
    }

    public function testClassifyTakesATextOrARecord(): void
    {
        [$code, $out] = self::command(['command' => 'switchyard:classify', 'text' => 'transfer 100 dollars to my savings account', '-d' => 'topics']);
        self::assertSame(0, $code, $out);
        self::assertMatchesRegularExpression('/Chosen +banking/', $out);

        [$code, $out] = self::command(['command' => 'switchyard:classify', '--record' => '{"amount": 12.5}', '-d' => 'topics']);
        self::assertSame(1, $code);
        self::assertStringContainsString('INPUT_MISMATCH', $out);
        foreach ([['text' => 'a'], ['-d' => 'topics'], ['-d' => 'topics', 'text' => 'a', '-r' => '{}'], ['-d' => 'topics', '-r' => '[1]'], ['-d' => 'topics', '-r' => '{"a": [1]}'], ['-d' => 'topics', 'text' => ' ']] as $input) {
            self::assertSame(2, self::command(['command' => 'switchyard:classify'] + $input)[0], \json_encode($input));
        }
    }

    /**
     * @param array<string, mixed> $config
     *
     * @dataProvider failures
     */
    public function testAFailureIsOneSentence(array $config, array $input, string $expected): void
    {
        [$code, $out] = self::command(['command' => 'switchyard:moderate', 'text' => 'hello'] + $input, $config);
        self::assertSame(1, $code);
        self::assertMatchesRegularExpression($expected, $out);
        self::assertSame(1, \substr_count(\trim($out), "\n") + 1, $out);
        self::assertStringNotContainsString('Exception', $out);
    }

    /** @return iterable<string, array{array<string, mixed>, array<string, mixed>, string}> */
    public static function failures(): iterable
    {
        yield 'no server' => [['dsn' => 'unix:///nowhere/s', 'circuit_breaker' => false], [], '~^UNAVAILABLE: cannot connect to unix:///nowhere/s: no such socket~'];
        yield 'a wrong key' => [['key' => 'wrong'], [], '/^KEY_INVALID: .* Set the client\'s "key"/'];
        yield 'a wrong deployment' => [[], ['-d' => 'nothing'], '~^DEPLOYMENT_NOT_FOUND: .*moderation/nothing~'];
        yield 'a wrong DSN' => [['dsn' => 'ftp://x'], [], '~^Switchyard client "default": DSN "ftp://x" is none of~'];
        yield 'a wrong client' => [[], ['--client' => 'x'], '/^There is no Switchyard client "x"; configured are: default/'];
    }

    public function testAFailureInJsonHasCodeReasonAndMessage(): void
    {
        [$code, $out] = self::command(['command' => 'switchyard:moderate', 'text' => 'hello', '-d' => 'nothing', '--json' => true]);
        self::assertSame(1, $code);
        $error = \json_decode($out, true)['error'];
        self::assertSame(['NOT_FOUND', 'DEPLOYMENT_NOT_FOUND', ['deployment' => 'moderation/nothing']], [$error['code'], $error['reason'], $error['metadata']]);
    }

    public function testExplainReadsADecisionBack(): void
    {
        [, $out] = self::command(['command' => 'switchyard:moderate', 'text' => 'what a lovely day', '--json' => true]);
        $id = \json_decode($out)->decision->decisionId;
        [$code, $out] = self::command(['command' => 'switchyard:explain', 'decision' => $id]);
        self::assertSame(0, $code, $out);
        self::assertStringContainsString('Decision ' . $id, $out);
        self::assertMatchesRegularExpression('/moderation\/comments answered "review". The outcome is review, because the deployment has no\s+certificate/', $out);
        self::assertMatchesRegularExpression('/Input +what a lovely day/', $out);
        self::assertMatchesRegularExpression('/Model +sha256:[0-9a-f]{64}/', $out);

        [$code, $out] = self::command(['command' => 'switchyard:explain', 'decision' => '0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42']);
        self::assertSame(1, $code);
        self::assertMatchesRegularExpression('/^NOT_FOUND: /', $out);
    }

    public function testExplainTellsWhatWhenWhyAndByWhat(): void
    {
        self::switchyardFake(DecisionClientInterface::class)->will('getDecision', Records::moderation());
        [$code, $out] = self::command(['command' => 'switchyard:explain', 'decision' => '0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42'], ['fake' => true]);
        self::assertSame(0, $code, $out);
        $text = (string) \preg_replace('/\s+/', ' ', $out);
        self::assertStringContainsString('moderation/comments answered "remove". The outcome is automated, because the score passed a certified threshold.', $text);
        foreach (['When 2026-11-01 12:00:00.250 UTC', 'toxic 97.00 %', 'Model sha256:aa', 'Policy sha256:bb', 'Certificate c-1', 'Cost 0.002310 EUR', 'Content 42', 'a person checks it; it was drawn with probability 0.050'] as $expected) {
            self::assertStringContainsString($expected, $text);
        }
        self::assertStringContainsString('Input you <b>fool</b>', $text);
        self::assertSame(2, self::command(['command' => 'switchyard:explain', 'decision' => 'x'], ['fake' => true])[0]);
    }

    /**
     * @param array<string, mixed> $input
     * @param array<string, mixed> $config
     *
     * @return array{int, string} exit code, and what was printed
     */
    private static function command(array $input, array $config = []): array
    {
        $server = Server::shared();
        $client = isset($config['clients']) ? [] : ['dsn' => 'unix://' . $server->socket, 'key' => $server->key];
        $kernel = new TestKernel($config + $client);
        $application = new Application($kernel);
        $application->setAutoExit(false);
        $tester = new ApplicationTester($application);
        $code = $tester->run($input, ['decorated' => false]);

        return [$code, $tester->getDisplay()];
    }
}
