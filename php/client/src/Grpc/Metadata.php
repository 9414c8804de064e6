<?php

declare(strict_types=1);

namespace Switchyard\Client\Grpc;

use Switchyard\Client\Failure\ConfigurationException;

/**
 * Request and response headers as gRPC writes them: values of names in "-bin" are base64.
 *
 * @internal
 */
final class Metadata
{
    private const RESERVED = ['content-type' => true, 'te' => true, 'host' => true, 'connection' => true, 'content-length' => true,
        'transfer-encoding' => true, 'upgrade' => true, 'expect' => true, 'user-agent' => true];

    private function __construct()
    {
    }

    /**
     * Header lines for curl.
     *
     * @param array<string, list<string>> $metadata
     *
     * @return list<string>
     */
    public static function lines(array $metadata): array
    {
        $lines = [];
        foreach ($metadata as $name => $values) {
            $name = (string) $name;
            if (1 !== \preg_match('/^[a-z0-9_.-]+$/D', $name) || isset(self::RESERVED[$name]) || \str_starts_with($name, 'grpc-')) {
                throw new ConfigurationException(\sprintf('metadata name "%s" is reserved or has characters other than a-z 0-9 _ . -', \addcslashes($name, "\0..\37")));
            }
            $binary = \str_ends_with($name, '-bin');
            foreach ($values as $value) {
                if (!$binary && 1 !== \preg_match('/^[\x20-\x7e]*$/D', $value)) {
                    throw new ConfigurationException(\sprintf('metadata "%s" has characters other than printable ASCII; a name that ends in "-bin" may hold any bytes', $name));
                }
                // A name with a colon and nothing behind it would make curl leave the header out.
                $lines[] = $binary ? $name . ': ' . \rtrim(\base64_encode($value), '=') : ('' === $value ? $name . ';' : $name . ': ' . $value);
            }
        }

        return $lines;
    }

    /**
     * The values of one received header.
     *
     * @return list<string>
     */
    public static function values(string $name, string $value): array
    {
        if (!\str_ends_with($name, '-bin')) {
            return [$value];
        }
        $values = [];
        foreach (\explode(',', $value) as $part) {
            $values[] = (string) \base64_decode(\trim($part));
        }

        return $values;
    }
}
