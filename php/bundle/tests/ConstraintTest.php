<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Moderation\ModerationResults;
use Switchyard\Bundle\Moderation\ModerationState;
use Switchyard\Bundle\Moderation\TextToModerate;
use Switchyard\Bundle\Test\SwitchyardAssertionsTrait;
use Switchyard\Bundle\Tests\Support\Article;
use Switchyard\Bundle\Tests\Support\Author;
use Switchyard\Bundle\Tests\Support\Comment;
use Switchyard\Bundle\Tests\Support\Profile;
use Switchyard\Bundle\Tests\Support\TestKernel;
use Switchyard\Bundle\Validator\Moderated;
use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerationClientInterface;
use Symfony\Component\Validator\ConstraintViolationListInterface;
use Symfony\Component\Validator\Exception\ConstraintDefinitionException;
use Symfony\Component\Validator\Validator\ValidatorInterface;

final class ConstraintTest extends TestCase
{
    use SwitchyardAssertionsTrait;

    private TestKernel $kernel;

    protected function setUp(): void
    {
        $this->kernel = $this->boot();
    }

    public function testAClassHasItsTextAndTitleJudgedTogether(): void
    {
        self::switchyardRemoves('spam', client: 'archive');
        $violations = $this->validate(new Article('buy now', 'An offer', new Author('Ada')));

        self::assertCount(1, $violations);
        self::assertSame('body', $violations[0]->getPropertyPath());
        self::assertSame('buy now', $violations[0]->getInvalidValue());
        self::assertSame('spam', $violations[0]->getCause()->category());
        $request = self::request('archive');
        self::assertSame(['articles', 'buy now', 'An offer', 'Ada', 'de-AT'], [$request->deployment, $request->text, $request->title, $request->authorId, $request->locale]);
        self::assertNothingModerated('default');
    }

    public function testContentWithoutAnIdIsKnownByItsReference(): void
    {
        self::switchyardAllows(client: 'archive');
        $this->validate($article = new Article('hello'));
        $results = $this->kernel->getContainer()->get(ModerationResults::class);

        self::assertMatchesRegularExpression('/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/', self::request('archive')->contentId);
        self::assertSame(self::request('archive')->contentId, $results->of($article)?->reference);
        self::assertSame('', self::request('archive')->authorId);

        $article->id = 42;
        $this->validate($article);
        self::assertSame('42', self::request('archive', 1)->contentId);
    }

    public function testATextIsDecidedOnceHoweverOftenItIsValidated(): void
    {
        self::switchyardRemoves();
        $comment = new Comment();
        $comment->body = 'you fool';
        self::assertCount(1, $this->validate($comment));
        self::assertCount(1, $this->validate($comment));
        self::assertCallCount(1, ModerationClientInterface::class, 'moderateText');

        $comment->body = 'you idiot';
        $this->validate($comment);
        $other = new Comment();
        $other->body = 'you idiot';
        $this->validate($other);
        self::assertCallCount(3, ModerationClientInterface::class, 'moderateText');
    }

    public function testAnObjectWithTwoTextsHasTheGravestState(): void
    {
        self::switchyardLeavesToReview();
        self::switchyardAllows();
        $profile = new Profile('something doubtful');
        $profile->motto = 'per aspera';
        self::assertCount(0, $this->validate($profile));

        $all = $this->kernel->getContainer()->get(ModerationResults::class)->all($profile);
        self::assertSame(['about', 'motto'], self::sorted(\array_keys($all)));
        self::assertSame(ModerationState::REVIEW, $profile->moderation?->state);
        self::assertSame($all['motto']->reference, $all['about']->reference);
    }

    public function testGroupsAreRespected(): void
    {
        self::switchyardRemoves();
        $profile = new Profile('about');
        $profile->motto = 'motto';
        self::assertCount(1, $this->validator()->validate($profile, null, ['strict']));
        self::assertCallCount(1, ModerationClientInterface::class, 'moderateText');
    }

    public function testAllowAcceptsWhatCouldNotBeChecked(): void
    {
        self::switchyardIsDown(client: 'archive');
        self::assertCount(0, $this->validate($article = new Article('hello')));
        $moderation = $this->kernel->getContainer()->get(ModerationResults::class)->of($article);
        self::assertSame(ModerationState::UNCHECKED, $moderation?->state);
        self::assertTrue($moderation->mayBePublished());
        self::assertNull($moderation->decisionId());
        self::assertStringContainsString('the test says it is down', (string) $moderation->failure?->getMessage());
    }

    public function testQueueWithoutATransportIsRefusedAndSaysWhatToDo(): void
    {
        self::switchyardIsDown();
        $this->expectException(\LogicException::class);
        $this->expectExceptionMessage('set switchyard.messenger.transport');
        $this->validator()->validate('hello', new Moderated(onUnavailable: 'queue'));
    }

    public function testAValueWithoutAnObjectIsModeratedToo(): void
    {
        self::switchyardRemoves('insult');
        $constraint = new Moderated(deployment: 'names', message: 'No {{ category }}, please ({{ deployment }}).');
        $violations = $this->validator()->validate('fool', $constraint);
        self::assertSame('No insult, please (names).', (string) $violations[0]->getMessage());
        self::assertCount(1, $this->validator()->validate('fool', $constraint));
        self::assertCallCount(1, ModerationClientInterface::class, 'moderateText');
        self::assertSame(ModerationState::REMOVED, $this->kernel->getContainer()->get(ModerationResults::class)->ofText('fool')?->state);
    }

    public function testWhatTheServerWouldRefuseIsRefusedWithoutACall(): void
    {
        $long = \str_repeat('ä', TextToModerate::MAX_TEXT);
        self::switchyardAllows();
        self::assertCount(0, $this->validator()->validate($long, new Moderated()));
        $violations = $this->validator()->validate($long . 'x', new Moderated());
        self::assertSame(Moderated::TOO_LONG_ERROR, $violations[0]->getCode());
        self::assertSame('TOO_LONG_ERROR', Moderated::getErrorName($violations[0]->getCode()));
        self::assertSame(Moderated::ENCODING_ERROR, $this->validator()->validate("a\xff", new Moderated())[0]->getCode());
        self::assertCallCount(1, ModerationClientInterface::class);
    }

    public function testWhatIsNoTextIsRefused(): void
    {
        self::switchyardAllows();
        self::assertCount(0, $this->validator()->validate(new class () {
            public function __toString(): string
            {
                return 'hello';
            }
        }, new Moderated()));
        $violations = $this->validator()->validate(['hello'], new Moderated());
        self::assertSame('This value should be of type string.', (string) $violations[0]->getMessage());
        self::assertCallCount(1, ModerationClientInterface::class);
    }

    public function testOptionsThatMakeNoSenseAreRefused(): void
    {
        $this->expectException(ConstraintDefinitionException::class);
        $this->expectExceptionMessage('onUnavailable is "wait", but must be "queue", "allow" or "reject"');
        new Moderated(onUnavailable: 'wait');
    }

    public function testMessagesAreTranslated(): void
    {
        self::switchyardIsDown();
        $this->kernel->getContainer()->get('translator')->setLocale('de');
        self::assertSame(
            'Dieser Text konnte nicht geprüft werden. Bitte versuchen Sie es gleich noch einmal.',
            (string) $this->validator()->validate('hallo', new Moderated(onUnavailable: 'reject'))[0]->getMessage(),
        );
    }

    public function testTheTimeoutIsThatOfTheConstraintElseOfTheConfiguration(): void
    {
        self::switchyardAllows();
        $this->validator()->validate('a', new Moderated());
        $this->validator()->validate('b', new Moderated(timeout: 20));
        $calls = self::switchyardCalls(ModerationClientInterface::class, 'moderateText');
        self::assertSame([150, 20], [$calls[0]->options->timeoutMillis, $calls[1]->options->timeoutMillis]);
    }

    public function testConstraintsSurviveTheMetadataCacheOfProduction(): void
    {
        self::switchyardRemoves();
        $kernel = $this->boot(debug: false);
        for ($i = 0; $i < 2; ++$i) {
            $kernel->shutdown();
            $kernel->boot();
            $comment = new Comment();
            $comment->body = 'you fool';
            self::assertCount(1, $kernel->getContainer()->get('validator')->validate($comment));
        }
    }

    private function boot(bool $debug = true): TestKernel
    {
        $kernel = (new TestKernel(['clients' => ['default' => 'unix:///nowhere', 'archive' => 'unix:///nowhere'], 'fake' => true, 'moderation' => ['timeout' => 150]], $debug))
            ->withFramework(['validation' => ['enabled' => true, 'enable_annotations' => true], 'translator' => ['default_path' => __DIR__], 'messenger' => ['transports' => ['async' => 'in-memory://']]]);
        $kernel->boot();

        return $kernel;
    }

    private function validator(): ValidatorInterface
    {
        return $this->kernel->getContainer()->get('validator');
    }

    private function validate(object $object): ConstraintViolationListInterface
    {
        return $this->validator()->validate($object);
    }

    private static function request(string $client, int $number = 0): ModerateTextRequest
    {
        $request = self::switchyardCalls(ModerationClientInterface::class, 'moderateText', $client)[$number]->request();
        self::assertInstanceOf(ModerateTextRequest::class, $request);

        return $request;
    }

    /**
     * @param list<string> $names
     *
     * @return list<string>
     */
    private static function sorted(array $names): array
    {
        \sort($names);

        return $names;
    }
}
