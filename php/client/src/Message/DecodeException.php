<?php

declare(strict_types=1);

namespace Switchyard\Client\Message;

use Switchyard\Client\Exception;
use Switchyard\Client\Wire\Wire;

/** Input that is not a message of the expected type, in binary or JSON form. */
final class DecodeException extends \RuntimeException implements Exception
{
    public static function truncated(string $where): self
    {
        return new self($where . ': truncated or overlong length');
    }

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

    public static function depth(string $where): self
    {
        return new self($where . ': nested deeper than ' . Limits::DEPTH . ' messages');
    }

    public static function expected(string $where, string $what, mixed $got): self
    {
        return new self($where . ': expected ' . $what . ', got ' . \get_debug_type($got));
    }
}
