<?php

declare(strict_types=1);

namespace App\Contact;

use App\Storage\Documents;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/** A contact form whose messages find their queue. */
final class ContactController extends AbstractController
{
    public function write(Request $request, InquiryRouter $router, Documents $documents): Response
    {
        $inquiry = new Inquiry();
        $form = $this->createForm(ContactType::class, $inquiry);
        $form->handleRequest($request);
        if ($form->isSubmitted() && $form->isValid()) {
            $id = $documents->add('inquiries', new RoutedInquiry($inquiry, $router->route($inquiry)));

            return $this->redirectToRoute('inquiry', ['id' => $id], Response::HTTP_SEE_OTHER);
        }

        return $this->render('contact/write.html.twig', ['form' => $form->createView()], new Response(status: $form->isSubmitted() ? Response::HTTP_UNPROCESSABLE_ENTITY : Response::HTTP_OK));
    }

    public function show(string $id, Documents $documents): Response
    {
        return $this->render('contact/show.html.twig', $documents->find('inquiries', $id) ?? throw $this->createNotFoundException());
    }
}
