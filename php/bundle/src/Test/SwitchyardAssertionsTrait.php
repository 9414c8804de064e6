<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Test;

use PHPUnit\Framework\Assert;
use Switchyard\Client\Failure\UnreachableException;
use Switchyard\Client\RpcError;
use Switchyard\Client\StatusCode;
use Switchyard\Client\Testing\FakeCall;
use Switchyard\Common\V1\Decision;
use Switchyard\Common\V1\DecisionReason;
use Switchyard\Common\V1\LabelProbability;
use Switchyard\Common\V1\Operation;
use Switchyard\Common\V1\Outcome;
use Switchyard\Moderation\V1\Action;
use Switchyard\Moderation\V1\FakeModerationClient;
use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerateTextResponse;
use Switchyard\Moderation\V1\ModerationClientInterface;

/**
 * For tests of applications with "switchyard: {fake: true}": says what Switchyard answers, and asserts what it was asked.
 *
 *     final class CommentTest extends WebTestCase
 *     {
 *         use SwitchyardAssertionsTrait;
 *
 *         public function testInsultsAreRefused(): void
 *         {
 *             self::switchyardRemoves('insult');
 *             self::createClient()->submitForm('Send', ['comment[body]' => 'you fool']);
 *             self::assertModerated('you fool', deployment: 'comments');
 *         }
 *     }
 *
 * Answers are used in order, the last one again and again. They outlive the kernel, so a test may make several requests.
 */
trait SwitchyardAssertionsTrait
{
    /** @after */
    #[\PHPUnit\Framework\Attributes\After]
    public static function forgetSwitchyardFakes(): void
    {
        Fakes::forget();
    }

    /**
     * The fake of a service, to queue answers and look at calls: `self::switchyardFake(RoutingClientInterface::class)->will('routeInquiry', $answer)`.
     *
     * @template T of object
     *
     * @param class-string<T> $interface of a generated client
     * @param string          $client    its name in the configuration
     */
    public static function switchyardFake(string $interface, string $client = 'default'): object
    {
        return Fakes::get(Fakes::classOf($interface), $client);
    }

    /** The next text may stand. */
    public static function switchyardAllows(string $client = 'default'): void
    {
        self::switchyardModerates(Action::ALLOW, 'ok', $client);
    }

    /** The next text must go. */
    public static function switchyardRemoves(string $category = 'insult', string $client = 'default'): void
    {
        self::switchyardModerates(Action::REMOVE, $category, $client);
    }

    /** A person decides about the next text. */
    public static function switchyardLeavesToReview(string $category = 'insult', string $client = 'default'): void
    {
        self::switchyardModerates(Action::REVIEW, $category, $client);
    }

    /** The next call of the method finds no server. */
    public static function switchyardIsDown(string $interface = ModerationClientInterface::class, string $method = 'moderateText', string $client = 'default'): void
    {
        $failure = new UnreachableException(new RpcError(StatusCode::UNAVAILABLE, 'cannot connect to the server: the test says it is down'));
        self::switchyardFake($interface, $client)->will($method, $failure);
    }

    /** Switchyard was asked about the text. */
    public static function assertModerated(string $text, ?string $deployment = null, string $client = 'default'): void
    {
        $asked = [];
        foreach (self::switchyardCalls(ModerationClientInterface::class, 'moderateText', $client) as $call) {
            $request = $call->request();
            \assert($request instanceof ModerateTextRequest);
            if ($text === $request->text && (null === $deployment || $deployment === $request->deployment)) {
                Assert::assertSame($text, $request->text);

                return;
            }
            $asked[] = \sprintf('%s: %s', $request->deployment, $request->text);
        }
        Assert::fail(\sprintf("The text was not moderated%s: %s\nModerated were:%s", null === $deployment ? '' : ' by ' . $deployment, $text, [] === $asked ? ' none' : "\n  " . \implode("\n  ", $asked)));
    }

    public static function assertNothingModerated(string $client = 'default'): void
    {
        self::assertCallCount(0, ModerationClientInterface::class, 'moderateText', $client);
    }

    /**
     * So many calls were made.
     *
     * @param ?string $method null for all of the service
     */
    public static function assertCallCount(int $expected, string $interface, ?string $method = null, string $client = 'default'): void
    {
        $calls = self::switchyardCalls($interface, $method, $client);
        Assert::assertCount($expected, $calls, \sprintf('calls of %s%s', $interface, null === $method ? '' : '::' . $method));
    }

    /**
     * What a service was asked.
     *
     * @return list<FakeCall>
     */
    public static function switchyardCalls(string $interface, ?string $method = null, string $client = 'default'): array
    {
        $calls = self::switchyardFake($interface, $client)->calls;

        return \array_values(\array_filter($calls, static fn (FakeCall $call): bool => null === $method || $method === $call->method));
    }

    private static function switchyardModerates(Action $action, string $category, string $client): void
    {
        $fake = self::switchyardFake(ModerationClientInterface::class, $client);
        \assert($fake instanceof FakeModerationClient);
        $fake->will('moderateText', static fn (ModerateTextRequest $request): ModerateTextResponse => new ModerateTextResponse(
            new Decision(
                decisionId: '01900000-0000-7000-8000-' . \substr(\hash('sha256', $request->text), 0, 12),
                project: 'default',
                operation: Operation::MODERATION,
                deployment: $request->deployment,
                outcome: Action::REVIEW === $action ? Outcome::REVIEW : Outcome::AUTOMATED,
                reason: Action::REVIEW === $action ? DecisionReason::BELOW_THRESHOLD : DecisionReason::CERTIFIED,
                labels: [new LabelProbability($category, 0.97)],
                chosenLabels: [$category],
            ),
            $action,
        ));
    }
}
