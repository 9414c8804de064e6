<?php

declare(strict_types=1);

namespace App\Contact;

use Symfony\Component\Validator\Constraints as Assert;

/** What somebody writes to support. */
final class Inquiry
{
    #[Assert\NotBlank(message: 'Please give an address that we can answer to.')]
    #[Assert\Email]
    #[Assert\Length(max: 120)]
    public ?string $email = null;

    #[Assert\NotBlank(message: 'Please give a subject.')]
    #[Assert\Length(max: 200)]
    public ?string $subject = null;

    #[Assert\NotBlank(message: 'Please say what it is about.')]
    #[Assert\Length(max: 5000)]
    public ?string $body = null;
}
