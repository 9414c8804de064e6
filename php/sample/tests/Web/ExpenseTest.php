<?php

declare(strict_types=1);

namespace App\Tests\Web;

use Switchyard\Bundle\Test\SwitchyardAssertionsTrait;
use Switchyard\Classification\V1\ClassificationClientInterface;
use Switchyard\Classification\V1\ClassificationResult;
use Switchyard\Classification\V1\StreamClassifyTextRequest;
use Switchyard\Classification\V1\StreamClassifyTextResponse;
use Switchyard\Client\Failure\ConnectionLostException;
use Switchyard\Client\RpcError;
use Switchyard\Client\StatusCode;
use Switchyard\Common\V1\Decision;
use Switchyard\Common\V1\LabelProbability;
use Switchyard\Common\V1\Outcome;
use Symfony\Bundle\FrameworkBundle\KernelBrowser;
use Symfony\Bundle\FrameworkBundle\Test\WebTestCase;

final class ExpenseTest extends WebTestCase
{
    use SwitchyardAssertionsTrait;

    private const CSV = "date;description;amount\n2026-11-02;Night train to Vienna;89,90\n2026-11-03;Dinner;1.064,20\n2026-11-04;Bus;2,40\n";

    public function testEveryLineIsLabelledInOneStream(): void
    {
        $browser = self::createClient();
        self::answers(\PHP_INT_MAX);
        self::import($browser, ['expense_import[text]' => self::CSV]);
        self::assertResponseRedirects();
        $page = $browser->followRedirect();
        self::assertSame(['89.90', '1,064.20', '2.40'], $page->filter('.lines .number')->slice(1)->each(static fn ($cell): string => $cell->text()));
        self::assertSame(['travel', 'kitchen and dining', 'travel'], $page->filter('.lines .badge')->each(static fn ($badge): string => $badge->text()));
        self::assertSelectorTextContains('table', '92.30');
        self::assertCallCount(1, ClassificationClientInterface::class);
        $requests = self::switchyardCalls(ClassificationClientInterface::class)[0]->requests;
        self::assertSame(['topics', '', ''], \array_map(static fn (StreamClassifyTextRequest $request): string => $request->deployment, $requests));
    }

    public function testAFileIsReadToo(): void
    {
        $browser = self::createClient();
        self::answers(\PHP_INT_MAX);
        $file = $_SERVER['APP_VAR_DIR'] . '/statement.csv';
        \file_put_contents($file, "2026-11-02,\"Caf\xE9, dinner\",12.50\r\n"); // as a spreadsheet of Windows writes it
        self::import($browser, ['expense_import[file]' => $file]);
        self::assertResponseRedirects();
        $browser->followRedirect();
        self::assertSelectorTextContains('.lines', 'Café, dinner');
    }

    public function testLabelsThatCameBeforeTheServerWentAwayAreKept(): void
    {
        $browser = self::createClient();
        self::answers(1);
        self::import($browser, ['expense_import[text]' => self::CSV]);
        self::assertResponseRedirects();
        $page = $browser->followRedirect();
        self::assertSelectorTextContains('.notice.bad', '2 lines could not be labelled');
        self::assertSame(['travel', 'none', 'none'], $page->filter('.lines .badge')->each(static fn ($badge): string => $badge->text()));
    }

    /** @dataProvider unreadable */
    public function testAStatementThatCannotBeReadIsExplained(string $csv, string $says): void
    {
        $browser = self::createClient();
        self::import($browser, ['expense_import[text]' => $csv]);
        self::assertResponseStatusCodeSame(422);
        self::assertSelectorTextSame('.errors', $says);
        self::assertCallCount(0, ClassificationClientInterface::class);
    }

    /** @return iterable<string, array{string, string}> */
    public static function unreadable(): iterable
    {
        yield 'nothing' => ['', 'Choose a file or paste some lines.'];
        yield 'prose' => ['nonsense', 'The statement has no line with date, description and amount.'];
        yield 'no amount' => ["2026-11-02;Bus;2,40\n2026-11-03;Train;much", 'Line 2 is not "date, description, amount".'];
        yield 'too many lines' => [\str_repeat("2026-11-02;Bus;2,40\n", 5_001), 'The statement has more than 5000 lines.'];
    }

    /** The fake answers each line at once, until the connection ends. */
    private static function answers(int $lines): void
    {
        $index = 0;
        self::switchyardFake(ClassificationClientInterface::class)->will('streamClassifyText', static function (StreamClassifyTextRequest $request) use (&$index, $lines): StreamClassifyTextResponse {
            if ($index >= $lines) {
                throw new ConnectionLostException(new RpcError(StatusCode::UNAVAILABLE, 'the connection ended'));
            }
            $label = \str_contains($request->item->text, 'inner') ? 'kitchen_and_dining' : 'travel';

            return new StreamClassifyTextResponse($index++, new ClassificationResult(new Decision(outcome: Outcome::AUTOMATED, labels: [new LabelProbability($label, 0.9)])));
        });
    }

    /** @param array<string, string> $fields */
    private static function import(KernelBrowser $browser, array $fields): void
    {
        $form = $browser->request('GET', '/expenses')->selectButton('Import')->form();
        foreach ($fields as $name => $value) {
            'expense_import[file]' === $name ? $form[$name]->upload($value) : $form[$name]->setValue($value);
        }
        $browser->submit($form);
    }
}
