<?php

declare(strict_types=1);

namespace App\Expense;

use App\Storage\Documents;
use Psr\Log\LoggerInterface;
use Switchyard\Client\RpcException;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\Form\FormError;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/** Imports a statement and labels its lines. */
final class ExpenseController extends AbstractController
{
    public function import(Request $request, StatementReader $reader, ExpenseClassifier $classifier, Documents $documents, LoggerInterface $logger): Response
    {
        $import = new ExpenseImport();
        $form = $this->createForm(ExpenseImportType::class, $import);
        $form->handleRequest($request);
        if ($form->isSubmitted() && $form->isValid()) {
            try {
                $expenses = $reader->read($import->csv());
                $statement = new Statement($expenses);
                try {
                    foreach ($classifier->classify($expenses) as $number => $label) {
                        $statement->label($number, $label);
                    }
                } catch (RpcException $e) {
                    // The lines that have a label keep it; the others are for a person.
                    $logger->warning('a statement was not classified to its end: {message}', ['message' => $e->getMessage(), 'exception' => $e]);
                }

                return $this->redirectToRoute('statement', ['id' => $documents->add('statements', $statement)], Response::HTTP_SEE_OTHER);
            } catch (UnreadableStatement $e) {
                $form->get(null === $import->file ? 'text' : 'file')->addError(new FormError($e->getMessage()));
            }
        }

        return $this->render('expense/import.html.twig', ['form' => $form->createView()], new Response(status: $form->isSubmitted() ? Response::HTTP_UNPROCESSABLE_ENTITY : Response::HTTP_OK));
    }

    public function show(string $id, Documents $documents): Response
    {
        return $this->render('expense/show.html.twig', $documents->find('statements', $id) ?? throw $this->createNotFoundException());
    }
}
