<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\AssertionFailedError;
use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Moderation\ModerationState;
use Switchyard\Bundle\Moderation\Moderator;
use Switchyard\Bundle\Moderation\TextToModerate;
use Switchyard\Bundle\Test\SwitchyardAssertionsTrait;
use Switchyard\Bundle\Tests\Support\TestKernel;
use Switchyard\Moderation\V1\ModerationClientInterface;
use Switchyard\Routing\V1\RouteInquiryRequest;
use Switchyard\Routing\V1\RouteInquiryResponse;
use Switchyard\Routing\V1\RoutingClientInterface;

/** What applications get for their own tests. */
final class AssertionsTest extends TestCase
{
    use SwitchyardAssertionsTrait;

    private TestKernel $kernel;

    protected function setUp(): void
    {
        $this->kernel = new TestKernel(['dsn' => 'unix:///nowhere', 'fake' => true]);
        $this->kernel->boot();
    }

    public function testAnswersComeInOrderAndTheLastAgainAndAgainAlsoInTheNextKernel(): void
    {
        self::switchyardAllows();
        self::switchyardRemoves('spam');
        self::switchyardIsDown();
        $states = [];
        foreach (['a', 'b', 'c', 'd'] as $text) {
            $states[] = $this->moderate($text);
            $this->kernel->shutdown();
            $this->kernel->boot();
        }
        self::assertSame([ModerationState::ALLOWED, ModerationState::REMOVED, ModerationState::UNAVAILABLE, ModerationState::UNAVAILABLE], $states);
        self::assertCallCount(4, ModerationClientInterface::class);
        self::assertModerated('b');
    }

    public function testFailuresSayWhatWasModerated(): void
    {
        self::switchyardAllows();
        $this->moderate('hello');
        foreach ([static fn () => self::assertModerated('other'), static fn () => self::assertModerated('hello', deployment: 'articles'), static fn () => self::assertNothingModerated()] as $i => $assert) {
            try {
                $assert();
            } catch (AssertionFailedError $e) {
                self::assertStringContainsString(2 === $i ? 'ModerationClientInterface::moderateText' : 'comments: hello', $e->getMessage());
                continue;
            }
            self::fail('assertion ' . $i . ' did not fail');
        }
    }

    public function testAnyServiceCanBeFaked(): void
    {
        $fake = self::switchyardFake(RoutingClientInterface::class)->will('routeInquiry', new RouteInquiryResponse(queue: 'billing'));
        self::assertSame('billing', $this->kernel->getContainer()->get(RoutingClientInterface::class)->routeInquiry(new RouteInquiryRequest())->queue);
        self::assertCount(1, $fake->calls);
        $this->expectException(\InvalidArgumentException::class);
        self::switchyardFake(self::class);
    }

    public function testACallThatNobodyPreparedIsAMistakeOfTheTest(): void
    {
        $this->expectException(\LogicException::class);
        $this->expectExceptionMessage('the fake has no answer');
        $this->moderate('hello');
    }

    private function moderate(string $text): ModerationState
    {
        return $this->kernel->getContainer()->get(Moderator::class)->moderate(new TextToModerate($text))->state;
    }
}
