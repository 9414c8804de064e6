<?php

declare(strict_types=1);

namespace App\Contact;

/** An inquiry as it is stored and shown. */
final class RoutedInquiry implements \JsonSerializable
{
    public function __construct(private readonly Inquiry $inquiry, private readonly Route $route)
    {
    }

    /** @return array<string, array<string, mixed>> */
    public function jsonSerialize(): array
    {
        return ['inquiry' => \get_object_vars($this->inquiry), 'route' => \get_object_vars($this->route)];
    }
}
