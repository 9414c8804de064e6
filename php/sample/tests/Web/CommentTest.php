<?php

declare(strict_types=1);

namespace App\Tests\Web;

use Switchyard\Bundle\Moderation\ModerateLater;
use Switchyard\Bundle\Test\SwitchyardAssertionsTrait;
use Switchyard\Moderation\V1\Action;
use Switchyard\Moderation\V1\ModerationClientInterface;
use Switchyard\Review\V1\Answer;
use Switchyard\Review\V1\GetItemResponse;
use Switchyard\Review\V1\ItemState;
use Switchyard\Review\V1\ReviewClientInterface;
use Switchyard\Review\V1\ReviewItem;
use Switchyard\Review\V1\Verdict;
use Symfony\Bundle\FrameworkBundle\Console\Application;
use Symfony\Bundle\FrameworkBundle\KernelBrowser;
use Symfony\Bundle\FrameworkBundle\Test\WebTestCase;
use Symfony\Component\Console\Tester\CommandTester;
use Symfony\Component\Messenger\MessageBusInterface;
use Symfony\Component\Messenger\Stamp\ReceivedStamp;
use Symfony\Component\Messenger\Transport\InMemoryTransport;
use Symfony\Component\Messenger\Transport\InMemory\InMemoryTransport as InMemoryTransport63;

final class CommentTest extends WebTestCase
{
    use SwitchyardAssertionsTrait;

    public function testACommentThatMayStandIsPublished(): void
    {
        $browser = self::createClient();
        self::switchyardAllows();
        self::send($browser, 'I liked the siding.');
        self::assertSelectorTextContains('.notice', 'Your comment is published');
        self::assertModerated('I liked the siding.', deployment: 'comments');
        self::assertCallCount(1, ModerationClientInterface::class);

        self::assertStringContainsString('I liked the siding.', self::asSomebodyElse($browser));
    }

    public function testACommentThatMustNotStandIsRefusedInTheForm(): void
    {
        $browser = self::createClient();
        self::switchyardRemoves('spam');
        self::send($browser, 'win a free phone', 422);
        self::assertSelectorTextSame('.errors', 'This comment cannot be published here.');
        self::assertSelectorTextSame('textarea', 'win a free phone', 'what was written is not lost');
        self::assertStringNotContainsString('win a free phone', self::asSomebodyElse($browser));
    }

    public function testACommentThatAPersonDecidesAboutIsShownToItsAuthorOnly(): void
    {
        $browser = self::createClient();
        self::switchyardLeavesToReview();
        self::send($browser, 'an odd remark');
        self::assertSelectorTextSame('.comment.review .badge', 'Waiting for a person');
        self::assertStringNotContainsString('an odd remark', self::asSomebodyElse($browser));
    }

    public function testACommentThatCannotBeCheckedIsPublishedOnceTheWorkerHasAsked(): void
    {
        $browser = self::createClient();
        self::switchyardIsDown();
        $browser->request('GET', '/');
        $browser->submitForm('Send', ['comment[author]' => 'Ada', 'comment[text]' => 'written while the server was away']);
        $transport = self::getContainer()->get('messenger.transport.later');
        self::assertTrue($transport instanceof InMemoryTransport || $transport instanceof InMemoryTransport63);
        self::assertCount(1, $sent = $transport->getSent());
        self::assertInstanceOf(ModerateLater::class, $message = $sent[0]->getMessage());
        $browser->followRedirect();
        self::assertSelectorTextSame('.comment.queued .badge', 'Waiting to be checked');

        self::forgetSwitchyardFakes();
        self::switchyardAllows();
        self::getContainer()->get(MessageBusInterface::class)->dispatch($message, [new ReceivedStamp('later')]);
        self::assertStringContainsString('written while the server was away', self::asSomebodyElse($browser));
    }

    /** @dataProvider verdicts */
    public function testWhatAPersonDecidesIsTaken(ItemState $state, Action $action, bool $isShown): void
    {
        $browser = self::createClient();
        self::switchyardLeavesToReview();
        self::send($browser, $text = 'an odd remark, ' . $state->name . ' ' . $action->name);
        self::switchyardFake(ReviewClientInterface::class)->will('getItem', new GetItemResponse(new ReviewItem(state: $state, verdict: new Verdict(answer: new Answer(action: $action)))));
        $command = new CommandTester((new Application(self::$kernel))->find('app:take-verdicts'));
        self::assertSame(0, $command->execute([]));
        self::assertSame($isShown, \str_contains(self::asSomebodyElse($browser), $text));
    }

    /** @return iterable<array{ItemState, Action, bool}> */
    public static function verdicts(): iterable
    {
        yield [ItemState::CLOSED, Action::ALLOW, true];
        yield [ItemState::CLOSED, Action::REMOVE, false];
        yield [ItemState::DECIDED, Action::ALLOW, false]; // its author may take it back
        yield [ItemState::WITHDRAWN, Action::ALLOW, false];
    }

    public function testAnEmptyFormAsksNothing(): void
    {
        $browser = self::createClient();
        $browser->request('GET', '/');
        $browser->submitForm('Send', ['comment[author]' => '', 'comment[text]' => '']);
        self::assertResponseStatusCodeSame(422);
        self::assertNothingModerated();
    }

    private static function send(KernelBrowser $browser, string $text, int $status = 303): void
    {
        $browser->request('GET', '/');
        $browser->submitForm('Send', ['comment[author]' => 'Ada', 'comment[text]' => $text]);
        self::assertResponseStatusCodeSame($status);
        303 !== $status || $browser->followRedirect();
    }

    /** What the page says to a visitor without a session. */
    private static function asSomebodyElse(KernelBrowser $browser): string
    {
        $browser->getCookieJar()->clear();
        $browser->request('GET', '/');

        return (string) $browser->getResponse()->getContent();
    }
}
