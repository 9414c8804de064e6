<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Profiler;

use Switchyard\Client\Exception;
use Switchyard\Client\Message\Message;

/** @internal a message as JSON for people: without secrets, and not longer than asked for */
final class Payload
{
    private const SECRETS = '/^(key|secret|token|password|authorization|private_?key|api_?key|client_?secret|access_?token)$/i';

    public function __construct(private readonly int $maxBytes)
    {
    }

    public function of(Message $message): string
    {
        if (0 === $this->maxBytes) {
            return '';
        }
        try {
            $value = \json_decode($message->toJson(), false, 128, \JSON_THROW_ON_ERROR);
        } catch (Exception | \JsonException $e) {
            return 'not shown: ' . $e->getMessage();
        }
        $json = (string) \json_encode(self::masked($value), \JSON_PRETTY_PRINT | \JSON_UNESCAPED_UNICODE | \JSON_UNESCAPED_SLASHES);
        if (\strlen($json) <= $this->maxBytes) {
            return $json;
        }
        // A cut inside a character takes the character away.
        $cut = (string) \preg_replace('/[\xC0-\xFF][\x80-\xBF]*$/D', '', \substr($json, 0, $this->maxBytes));

        return \sprintf("%s\n… %d of %d bytes", $cut, \strlen($cut), \strlen($json));
    }

    private static function masked(mixed $value): mixed
    {
        if (\is_array($value)) {
            return \array_map(self::masked(...), $value);
        }
        if (!$value instanceof \stdClass) {
            return $value;
        }
        $masked = new \stdClass();
        foreach (\get_object_vars($value) as $name => $field) {
            $masked->{$name} = \is_string($field) && 1 === \preg_match(self::SECRETS, (string) $name) ? '******' : self::masked($field);
        }

        return $masked;
    }
}
