<?php

declare(strict_types=1);

namespace Switchyard\Client\Message;

use Switchyard\Client\Exception;
use Switchyard\Client\Wire\Wire;

/** A value that cannot be written: not UTF-8, out of the range of its field, of a type without JSON form. */
final class EncodeException extends \RuntimeException implements Exception
{
    public static function utf8(string $where): self
    {
        return new self($where . ': not valid UTF-8');
    }

    /**
     * For the first of several strings that is not UTF-8.
     *
     * @param array<string, ?string> $fields by name
     */
    public static function utf8In(array $fields): self
    {
        foreach ($fields as $where => $v) {
            if (!Wire::utf8($v ?? '')) {
                break;
            }
        }

        return self::utf8($where ?? 'string');
    }

    public static function range(string $type, int|float $value): self
    {
        return new self($value . ' does not fit ' . $type);
    }
}
