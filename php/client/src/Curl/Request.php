<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\CallOptions;
use Switchyard\Client\Compression;
use Switchyard\Client\Failure\ConfigurationException;
use Switchyard\Client\Grpc\Deadline;
use Switchyard\Client\Grpc\Frames;
use Switchyard\Client\Grpc\Metadata;
use Switchyard\Client\Message\EncodeException;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;

/**
 * The side of a call that is sent: headers, and messages in their frames.
 *
 * @internal
 */
final class Request
{
    public const USER_AGENT = 'switchyard-php/1 php/' . \PHP_MAJOR_VERSION . '.' . \PHP_MINOR_VERSION;

    private function __construct()
    {
    }

    /**
     * Header lines for curl.
     *
     * @param ?Deadline $deadline that the server is told; null for none
     *
     * @return list<string>
     */
    public static function headers(CallOptions $options, Compression $compression, ?Deadline $deadline): array
    {
        $lines = ['content-type: application/grpc', 'te: trailers', 'Expect:', 'Accept:'];
        if (\function_exists('gzdecode')) {
            $lines[] = 'grpc-accept-encoding: gzip';
        }
        if (Compression::NONE !== $compression) {
            $lines[] = 'grpc-encoding: ' . $compression->value;
        }
        if (null !== $timeout = $deadline?->header()) {
            $lines[] = 'grpc-timeout: ' . $timeout;
        }

        return [] === $options->metadata ? $lines : [...$lines, ...Metadata::lines($options->metadata)];
    }

    public static function compression(CallOptions $options, Compression $standard): Compression
    {
        $compression = $options->compression ?? $standard;
        if (Compression::GZIP === $compression && !\function_exists('gzencode')) {
            throw new ConfigurationException('compression with gzip needs PHP\'s zlib extension');
        }

        return $compression;
    }

    /**
     * A message in its frame.
     *
     * @throws RpcException when it cannot be written or is larger than the server accepts
     */
    public static function frame(Message $message, Compression $compression, int $maxBytes, MethodDescriptor $method): string
    {
        try {
            $bytes = $message->encode();
        } catch (EncodeException $e) {
            throw RpcException::of(new RpcError(StatusCode::INVALID_ARGUMENT, $e->getMessage(), 'INVALID_ARGUMENT', 'switchyard.client'), $method->exceptions, $e);
        }
        if (\strlen($bytes) > $maxBytes) {
            throw RpcException::of(new RpcError(
                StatusCode::RESOURCE_EXHAUSTED,
                \sprintf('request has %d bytes, limit %d', \strlen($bytes), $maxBytes),
                'REQUEST_TOO_LARGE',
                'switchyard.client',
                ['limitBytes' => (string) $maxBytes],
            ), $method->exceptions);
        }

        return Frames::write($bytes, $compression);
    }
}
