<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\Failure\ConnectionLostException;
use Switchyard\Client\Failure\ProtocolException;
use Switchyard\Client\Failure\TlsException;
use Switchyard\Client\Failure\UnreachableException;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;

/**
 * Turns what curl says into exceptions.
 *
 * @internal
 */
final class Errors
{
    /** Codes of https://curl.se/libcurl/c/libcurl-errors.html; PHP has no constants for some of them. */
    private const HTTP2 = 16;
    private const HTTP2_STREAM = 92;
    private const TIMED_OUT = 28;
    private const NO_CONNECTION = [5, 6, 7];
    private const TLS = [35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91, 98];

    /** Codes after which a kept connection is known to have been dead. */
    private const STALE = [self::HTTP2, 52, 55, 56, self::HTTP2_STREAM];

    private function __construct()
    {
    }

    /** Whether the connection ended before an answer began. */
    public static function stale(int $errno): bool
    {
        return \in_array($errno, self::STALE, true);
    }

    /**
     * @param int    $errno   of curl
     * @param string $text    of curl
     * @param bool   $deadlinePassed whether the deadline of the call has passed; a timeout before that is one of the connection
     */
    public static function of(int $errno, string $text, \CurlHandle $handle, Endpoint $endpoint, MethodDescriptor $method, bool $deadlinePassed): RpcException
    {
        if (self::TIMED_OUT === $errno) {
            return $deadlinePassed ? self::deadline($method) : self::unreachable($endpoint, 'no connection in time');
        }
        if ($deadlinePassed && self::stale($errno)) {
            return self::deadline($method); // the server keeps the same time, and resets a stream whose time is over
        }
        if (\in_array($errno, self::NO_CONNECTION, true)) {
            return self::unreachable($endpoint, self::why($text, (int) \curl_getinfo($handle, \CURLINFO_OS_ERRNO), $endpoint));
        }
        if (\in_array($errno, self::TLS, true)) {
            return new TlsException(new RpcError(StatusCode::UNAVAILABLE, \sprintf('TLS with %s failed: %s', $endpoint, $text)));
        }
        if (self::HTTP2_STREAM === $errno && null !== $reset = self::reset($text)) {
            return $reset;
        }
        if (\in_array($errno, [1, 8, 22, 61], true)) {
            return new ProtocolException(new RpcError(StatusCode::UNKNOWN, \sprintf('answer of %s is not HTTP/2: %s', $endpoint, $text)));
        }

        return new ConnectionLostException(new RpcError(StatusCode::UNAVAILABLE, \sprintf('connection to %s was lost: %s', $endpoint, '' === $text ? 'curl error ' . $errno : $text)));
    }

    public static function deadline(MethodDescriptor $method): RpcException
    {
        return RpcException::of(new RpcError(StatusCode::DEADLINE_EXCEEDED, 'deadline passed', 'DEADLINE_EXCEEDED', 'switchyard.client'), $method->exceptions);
    }

    public static function cancelled(MethodDescriptor $method): RpcException
    {
        return RpcException::of(new RpcError(StatusCode::CANCELLED, 'call was cancelled by the caller', 'CANCELLED', 'switchyard.client'), $method->exceptions);
    }

    private static function unreachable(Endpoint $endpoint, string $why): UnreachableException
    {
        return new UnreachableException(new RpcError(StatusCode::UNAVAILABLE, \sprintf('cannot connect to %s: %s', $endpoint, $why)));
    }

    private static function why(string $text, int $os, Endpoint $endpoint): string
    {
        $path = $endpoint->socket;
        if ('' === $path) {
            return $text;
        }
        \clearstatcache(true, $path);
        if (!\file_exists($path)) {
            return \is_dir(\dirname($path)) && !\is_executable(\dirname($path))
                ? 'permission denied on the folder of the socket'
                : 'no such socket; is the server running, and is this the path it was given?';
        }
        if (13 === $os || !\is_writable($path)) {
            return 'permission denied: this user may not write to the socket; see its mode and group';
        }

        return 'nothing listens on the socket' . (0 === $os ? '' : \sprintf(' (errno %d)', $os));
    }

    /** https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors */
    private static function reset(string $text): ?RpcException
    {
        if (1 !== \preg_match('/\(err (\d+)\)/', $text, $m)) {
            return null;
        }
        $code = match ((int) $m[1]) {
            7 => StatusCode::UNAVAILABLE,
            8 => StatusCode::CANCELLED,
            11 => StatusCode::RESOURCE_EXHAUSTED,
            12 => StatusCode::PERMISSION_DENIED,
            default => StatusCode::INTERNAL,
        };

        return new ConnectionLostException(new RpcError($code, 'server reset the call: ' . $text));
    }
}
