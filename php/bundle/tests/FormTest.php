<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Moderation\ModerationResults;
use Switchyard\Bundle\Moderation\ModerationState;
use Switchyard\Bundle\Test\SwitchyardAssertionsTrait;
use Switchyard\Bundle\Tests\Support\Comment;
use Switchyard\Bundle\Tests\Support\TestKernel;
use Switchyard\Bundle\Validator\Moderated;
use Switchyard\Moderation\V1\ModerationClientInterface;
use Symfony\Component\Form\Extension\Core\Type\FormType;
use Symfony\Component\Form\Extension\Core\Type\TextareaType;
use Symfony\Component\Form\Extension\Core\Type\TextType;
use Symfony\Component\Form\FormInterface;
use Symfony\Component\HttpFoundation\Request;

/** A comment in a form, with fakes in place of the server. */
final class FormTest extends TestCase
{
    use SwitchyardAssertionsTrait;

    private TestKernel $kernel;

    protected function setUp(): void
    {
        $this->kernel = $this->boot();
    }

    public function testATextThatMayStandIsAccepted(): void
    {
        self::switchyardAllows();
        $form = $this->submit($comment = new Comment(), 'what a lovely day');

        self::assertTrue($form->isValid());
        self::assertSame(ModerationState::ALLOWED, $comment->moderation?->state);
        self::assertModerated('what a lovely day', deployment: 'comments');
        self::assertCallCount(1, ModerationClientInterface::class, 'moderateText');
    }

    public function testATextThatMustGoIsAViolationOfItsField(): void
    {
        self::switchyardRemoves('insult');
        $form = $this->submit($comment = new Comment(), 'you fool');

        self::assertFalse($form->isValid());
        $error = $form->get('body')->getErrors()[0];
        self::assertSame('This text is not allowed here.', $error->getMessage());
        self::assertSame(Moderated::REMOVED_ERROR, $error->getCause()->getCode());
        self::assertSame('insult', $error->getCause()->getParameters()['{{ category }}']);
        self::assertSame(ModerationState::REMOVED, $comment->moderation?->state);
    }

    public function testReviewIsAcceptedAsPending(): void
    {
        self::switchyardLeavesToReview();
        $form = $this->submit($comment = new Comment(), 'hmm');

        self::assertTrue($form->isValid());
        self::assertTrue($comment->moderation?->isPending());
        $results = $this->kernel->getContainer()->get(ModerationResults::class);
        self::assertSame(ModerationState::REVIEW, $results->of($comment)?->state);
        self::assertSame($comment->moderation, $results->ofText('hmm'));
    }

    public function testWithoutAnAnswerTheUserIsAskedToTryAgain(): void
    {
        self::switchyardIsDown();
        $form = $this->submit($comment = new Comment(), 'hello');

        self::assertFalse($form->isValid());
        self::assertSame(Moderated::UNAVAILABLE_ERROR, $form->get('body')->getErrors()[0]->getCause()->getCode());
        self::assertSame(ModerationState::UNAVAILABLE, $comment->moderation?->state);
    }

    public function testAnEmptyTextIsNotModerated(): void
    {
        self::assertTrue($this->submit(new Comment(), " \n")->isValid());
        self::assertTrue($this->submit(new Comment(), null)->isValid());
        self::assertNothingModerated();
    }

    public function testAFormWithoutADataClassIsModeratedByItsFields(): void
    {
        self::switchyardRemoves('spam');
        $form = $this->kernel->getContainer()->get('form.factory')->createNamedBuilder('contact')
            ->add('subject', TextType::class)
            ->add('message', TextareaType::class, ['constraints' => [new Moderated(deployment: 'contact', title: 'subject')]])->getForm();
        $form->handleRequest(Request::create('/', 'POST', ['contact' => ['subject' => 'An offer', 'message' => 'buy now']]));

        self::assertFalse($form->isValid());
        self::assertCount(1, $form->get('message')->getErrors());
        $request = self::switchyardCalls(ModerationClientInterface::class)[0]->request();
        self::assertSame(['contact', 'buy now', 'An offer'], [$request->deployment, $request->text, $request->title]);
        self::assertSame(ModerationState::REMOVED, $this->kernel->getContainer()->get(ModerationResults::class)->of($form->get('message'))?->state);
    }

    private function boot(): TestKernel
    {
        $kernel = (new TestKernel(['dsn' => 'unix:///nowhere', 'fake' => true]))
            ->withFramework(['form' => ['enabled' => true], 'validation' => ['enabled' => true, 'enable_annotations' => true], 'csrf_protection' => false, 'session' => false]);
        $kernel->boot();

        return $kernel;
    }

    private function submit(Comment $comment, ?string $body): FormInterface
    {
        $form = $this->kernel->getContainer()->get('form.factory')
            ->createNamedBuilder('comment', FormType::class, $comment, ['data_class' => Comment::class])
            ->add('body', TextareaType::class, ['trim' => false])->getForm();
        $form->handleRequest(Request::create('/', 'POST', ['comment' => ['body' => $body]]));
        self::assertTrue($form->isSubmitted());

        return $form;
    }
}
