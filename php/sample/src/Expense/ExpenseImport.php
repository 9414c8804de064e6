<?php

declare(strict_types=1);

namespace App\Expense;

use Symfony\Component\HttpFoundation\File\UploadedFile;
use Symfony\Component\Validator\Constraints as Assert;
use Symfony\Component\Validator\Context\ExecutionContextInterface;

/** A statement as it arrives: a file, or text pasted into the page. */
final class ExpenseImport
{
    #[Assert\File(maxSize: '1M')]
    public ?UploadedFile $file = null;

    #[Assert\Length(max: 1_000_000)]
    public ?string $text = null;

    #[Assert\Callback]
    public function isNotEmpty(ExecutionContextInterface $context): void
    {
        if (null === $this->file && '' === \trim((string) $this->text)) {
            $context->buildViolation('Choose a file or paste some lines.')->atPath('text')->addViolation();
        }
    }

    public function csv(): string
    {
        return null === $this->file ? (string) $this->text : $this->file->getContent();
    }
}
