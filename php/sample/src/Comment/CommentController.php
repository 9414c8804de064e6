<?php

declare(strict_types=1);

namespace App\Comment;

use Switchyard\Bundle\Moderation\ModerationResults;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/** An article with comments. */
final class CommentController extends AbstractController
{
    public function __invoke(Request $request, Comments $comments, ModerationResults $results): Response
    {
        $session = $request->getSession();
        $comment = new Comment();
        $form = $this->createForm(CommentType::class, $comment);
        $form->handleRequest($request);
        if ($form->isSubmitted() && $form->isValid()) {
            // The constraint #[Moderated] has asked while the form was validated; a text that must not stand made it invalid.
            $moderation = $results->of($comment) ?? throw new \LogicException('A valid comment was moderated.');
            $session->set('visitor', $visitor = $session->get('visitor') ?? \bin2hex(\random_bytes(16)));
            $comments->add($comment, $moderation, $visitor);
            $this->addFlash('notice', $moderation->mayBePublished() ? 'Thank you. Your comment is published.' : 'Thank you. Your comment is shown to others once it has been checked.');

            return $this->redirectToRoute('comments', ['_fragment' => 'comments'], Response::HTTP_SEE_OTHER);
        }

        return $this->render('comment/index.html.twig', [
            'form' => $form->createView(),
            'comments' => $comments->visibleTo($session->get('visitor') ?? ''),
        ], new Response(status: $form->isSubmitted() ? Response::HTTP_UNPROCESSABLE_ENTITY : Response::HTTP_OK));
    }
}
