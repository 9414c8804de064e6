<?php

declare(strict_types=1);

namespace Switchyard\Client\Message;

use Switchyard\Client\Exception;

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

    public static function depth(string $where): self
    {
        return new self($where . ': nested deeper than ' . Limits::DEPTH . ' messages');
    }

    public static function expected(string $where, string $what, mixed $got): self
    {
        return new self($where . ': expected ' . $what . ', got ' . \get_debug_type($got));
    }
}
