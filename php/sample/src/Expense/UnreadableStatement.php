<?php

declare(strict_types=1);

namespace App\Expense;

/** A statement that cannot be read; the message is for the person who sent it. */
final class UnreadableStatement extends \RuntimeException
{
}
