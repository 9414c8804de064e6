<?php

declare(strict_types=1);

namespace Switchyard\Client\Message;

use Switchyard\Client\Exception;

/** A value that cannot be written: not UTF-8, out of the range of its field, of a type without JSON form. */
final class EncodeException extends \RuntimeException implements Exception
{
    public static function utf8(string $where): self
    {
        return new self($where . ': not valid UTF-8');
    }

    public static function range(string $type, int|float $value): self
    {
        return new self($value . ' does not fit ' . $type);
    }
}
