<?php

declare(strict_types=1);

namespace App\Tests\Production;

use App\Tests\Support\Site;
use App\Tests\Support\Visitor;
use PHPUnit\Framework\TestCase;
use Switchyard\Client\Connection;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Client\WellKnown\Duration;
use Switchyard\Common\V1\Operation;
use Switchyard\Models\V1\ModelClient;
use Switchyard\Models\V1\Policy;
use Switchyard\Models\V1\Uncertified;
use Switchyard\Models\V1\UpdatePolicyRequest;
use Switchyard\Moderation\V1\Action;
use Switchyard\Review\V1\Answer;
use Switchyard\Review\V1\LeaseItemRequest;
use Switchyard\Review\V1\ListItemsRequest;
use Switchyard\Review\V1\QueueSettings;
use Switchyard\Review\V1\ReviewClient;
use Switchyard\Review\V1\SubmitVerdictRequest;
use Switchyard\Review\V1\UpdateQueueRequest;

/** What the application does, by HTTP, with the real server behind it. */
final class FeaturesTest extends TestCase
{
    private static ?Site $site = null;

    private Visitor $visitor;

    public static function tearDownAfterClass(): void
    {
        self::$site = null;
    }

    protected function setUp(): void
    {
        self::$site ??= new Site(Server::shared(), 2);
        $this->visitor = new Visitor(self::$site->url);
    }

    public function testStyleAndPagesAreServed(): void
    {
        self::assertStringContainsString('--accent', $this->visitor->get('/style.css'));
        self::assertStringContainsString('Nobody has written anything yet', $this->visitor->get('/'));
    }

    public function testCommentsWaitForAPersonUntilTheDeploymentMayDecide(): void
    {
        $this->comment('I liked the siding and the lamp.');
        self::assertStringContainsString('Waiting for a person', $this->visitor->get('/'));
        self::assertStringNotContainsString('the siding and the lamp', (new Visitor(self::$site->url))->get('/'));
    }

    /** @depends testCommentsWaitForAPersonUntilTheDeploymentMayDecide */
    public function testADeploymentThatMayDecidePublishesAndRemoves(): void
    {
        $this->mayDecide();
        $this->comment('My grandfather worked at a yard like this one.');
        self::assertStringContainsString('My grandfather', (new Visitor(self::$site->url))->get('/'));

        $refused = $this->comment('win a free phone now, click http://claim.example', 422);
        self::assertStringContainsString('This comment cannot be published here.', $refused);
        self::assertStringNotContainsString('claim.example', $this->visitor->get('/'));
    }

    /** @depends testCommentsWaitForAPersonUntilTheDeploymentMayDecide */
    public function testWhatAPersonDecidesIsShownToEverybody(): void
    {
        $this->verdict('the siding and the lamp', Action::ALLOW);
        self::assertStringContainsString('ALLOW', self::$site->console('app:take-verdicts'));
        self::assertStringContainsString('the siding and the lamp', (new Visitor(self::$site->url))->get('/'));
        self::assertSame('', self::$site->console('app:take-verdicts'), 'nothing is taken twice');
    }

    public function testAnInquiryShowsQueueAndPriority(): void
    {
        $this->visitor->get('/contact');
        $this->visitor->post('/contact', 'contact', ['email' => 'ada@example.org', 'subject' => 'VPN', 'body' => 'I cannot log in since this morning, please help, it is urgent.']);
        self::assertSame(303, $this->visitor->status());
        $page = $this->visitor->get($this->visitor->leadsTo());
        self::assertStringContainsString('<p class="queue">Hardware</p>', $page);
        self::assertStringContainsString('That is a suggestion', $page, 'the starter model has no certificate');
        self::assertMatchesRegularExpression('/badge (high|urgent)/', $page);
    }

    public function testAStatementOfAThousandLinesIsLabelled(): void
    {
        $csv = "date;description;amount\n";
        for ($i = 0; $i < 1000; ++$i) {
            $csv .= \sprintf("2026-11-%02d;%s no. %d;%d,50\n", 1 + $i % 28, ['Flight to Vienna', 'Oil change and new tires', 'Restaurant dinner'][$i % 3], $i, $i);
        }
        $this->visitor->get('/expenses');
        $this->visitor->post('/expenses', 'expense_import', ['text' => $csv]);
        self::assertSame(303, $this->visitor->status());
        $page = $this->visitor->get($this->visitor->leadsTo());
        self::assertStringContainsString('1000 lines', $page);
        self::assertStringNotContainsString('could not be labelled', $page, self::$site->complaints());
        self::assertStringContainsString('<td>travel</td><td class="number">334</td>', $page);
        self::assertStringContainsString('<td>auto and commute</td><td class="number">333</td>', $page);
        self::assertStringContainsString('<td>kitchen and dining</td><td class="number">333</td>', $page);
    }

    public function testAWrongAddressIsAPageToo(): void
    {
        \curl_setopt($this->visitor->curl, \CURLOPT_URL, self::$site->url . '/nothing');
        self::assertStringContainsString('There is nothing here', (string) \curl_exec($this->visitor->curl));
        self::assertSame(404, $this->visitor->status());
    }

    private function comment(string $text, int $status = 303): string
    {
        $this->visitor->get('/');
        $page = $this->visitor->post('/', 'comment', ['author' => 'Ada', 'text' => $text]);
        self::assertSame($status, $this->visitor->status(), $page . self::$site->complaints());

        return $page;
    }

    /** Somebody answers in the review queue, at once and for good. */
    private function verdict(string $text, Action $action): void
    {
        $server = Server::shared();
        $reviews = new ReviewClient(Connection::open('unix://' . $server->socket, $server->key));
        $reviews->updateQueue(new UpdateQueueRequest(Operation::MODERATION, 'comments', new QueueSettings(undoWindow: Duration::ofSeconds(0))));
        $items = $reviews->listItems(new ListItemsRequest(text: $text))->items;
        self::assertCount(1, $items);
        $lease = $reviews->leaseItem(new LeaseItemRequest($items[0]->itemId))->item->lease;
        $reviews->submitVerdict(new SubmitVerdictRequest($items[0]->itemId, leaseId: $lease->leaseId, answer: new Answer(action: $action)));
    }

    private function mayDecide(): void
    {
        $server = Server::shared();
        (new ModelClient(Connection::open('unix://' . $server->socket, $server->key)))->updatePolicy(new UpdatePolicyRequest(
            Operation::MODERATION,
            'comments',
            new Policy(uncertified: Uncertified::AUTOMATE),
        ));
        // It applies a moment later.
        $until = \microtime(true) + 5;
        do {
            $this->comment('A short note.');
            $page = (new Visitor(self::$site->url))->get('/');
        } while (!\str_contains($page, 'A short note.') && \microtime(true) < $until);
    }
}
