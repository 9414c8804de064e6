<?php

declare(strict_types=1);

namespace App\Tests\Web;

use Switchyard\Bundle\Test\SwitchyardAssertionsTrait;
use Switchyard\Common\V1\Decision;
use Switchyard\Common\V1\Outcome;
use Switchyard\Routing\V1\Priority;
use Switchyard\Routing\V1\QueueProbability;
use Switchyard\Routing\V1\RouteInquiryResponse;
use Switchyard\Routing\V1\RoutingClientInterface;
use Symfony\Bundle\FrameworkBundle\Test\WebTestCase;

final class ContactTest extends WebTestCase
{
    use SwitchyardAssertionsTrait;

    public function testAnInquiryGoesToItsQueue(): void
    {
        $this->write(new RouteInquiryResponse(new Decision('01900000-0000-7000-8000-000000000001', outcome: Outcome::AUTOMATED), 'Hardware', [
            new QueueProbability('Hardware', 0.93), new QueueProbability('Access', 0.05),
        ], priority: Priority::HIGH));
        self::assertSelectorTextSame('.queue', 'Hardware');
        self::assertSelectorTextContains('.card', 'It went there by itself.');
        self::assertSelectorTextSame('.badge.high', 'high');
        self::assertSelectorTextContains('.card', 'Access');
        $request = self::switchyardCalls(RoutingClientInterface::class, 'routeInquiry')[0]->request();
        self::assertSame(['support', 'VPN', 'I cannot log in.', 'web'], [$request->deployment, $request->subject, $request->body, $request->channel]);
        self::assertStringNotContainsString('ada', $request->customerId, 'the address itself stays here');
    }

    public function testAnUncertainQueueIsCalledASuggestion(): void
    {
        $this->write(new RouteInquiryResponse(new Decision('01900000-0000-7000-8000-000000000002', outcome: Outcome::REVIEW), 'Hardware', priority: Priority::NORMAL));
        self::assertSelectorTextContains('.card', 'That is a suggestion');
    }

    public function testAnInquiryThatFitsNowhereIsForAPerson(): void
    {
        $this->write(new RouteInquiryResponse(new Decision('01900000-0000-7000-8000-000000000003', outcome: Outcome::REVIEW), outOfScope: true));
        self::assertSelectorTextSame('.queue', 'A person sorts it');
        self::assertSelectorTextContains('.card', 'any of our queues');
    }

    public function testAnInquiryIsAcceptedWithoutAnAnswer(): void
    {
        $this->write(null);
        self::assertSelectorTextSame('.queue', 'A person sorts it');
        self::assertSelectorTextContains('.card', 'Nothing is lost');
    }

    public function testAnAddressIsNeeded(): void
    {
        $browser = self::createClient();
        $browser->request('GET', '/contact');
        $browser->submitForm('Send', ['contact[email]' => 'nonsense', 'contact[subject]' => 'VPN', 'contact[body]' => 'hello']);
        self::assertResponseStatusCodeSame(422);
        self::assertCallCount(0, RoutingClientInterface::class);
    }

    private function write(?RouteInquiryResponse $answer): void
    {
        $browser = self::createClient();
        null === $answer
            ? self::switchyardIsDown(RoutingClientInterface::class, 'routeInquiry')
            : self::switchyardFake(RoutingClientInterface::class)->will('routeInquiry', $answer);
        $browser->request('GET', '/contact');
        $browser->submitForm('Send', ['contact[email]' => 'ada@example.org', 'contact[subject]' => 'VPN', 'contact[body]' => 'I cannot log in.']);
        self::assertResponseRedirects();
        $browser->followRedirect();
        self::assertResponseIsSuccessful();
    }
}
