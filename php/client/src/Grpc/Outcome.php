<?php

declare(strict_types=1);

namespace Switchyard\Client\Grpc;

use Switchyard\Client\Failure\ProtocolException;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\Rpc\ErrorInfo;
use Switchyard\Client\Rpc\Status;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;

/**
 * Reads how a call ended from the head of its response.
 *
 * @internal
 */
final class Outcome
{
    private function __construct()
    {
    }

    /** The failure that the head tells of, or null when the call went well. */
    public static function of(Head $head, MethodDescriptor $method, bool $noBody): ?RpcException
    {
        $status = $head->trailer('grpc-status', $noBody);
        if (0 === $head->http && null !== $status) {
            return self::status($status, $head, $method, $noBody); // libcurl 7.88 dropped the headers, and not the trailers
        }
        if (200 !== $head->http) {
            return null === $status || !$head->isGrpc() ? self::notGrpc($head) : self::status($status, $head, $method, $noBody);
        }
        if (!$head->isGrpc()) {
            return self::notGrpc($head);
        }
        if (null === $status) {
            return self::protocol(StatusCode::INTERNAL, 'response ended without a status');
        }

        return self::status($status, $head, $method, $noBody);
    }

    public static function protocol(StatusCode $code, string $message, ?\Throwable $previous = null): ProtocolException
    {
        return new ProtocolException(new RpcError($code, $message), $previous);
    }

    /** Whether the answer has come so far that an error of the connection behind it does not matter. */
    public static function known(Head $head, bool $noBody): bool
    {
        return null !== $head->trailer('grpc-status', $noBody);
    }

    /** https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
    private static function notGrpc(Head $head): RpcException
    {
        $code = match ($head->http) {
            400 => StatusCode::INTERNAL,
            401 => StatusCode::UNAUTHENTICATED,
            403 => StatusCode::PERMISSION_DENIED,
            404 => StatusCode::UNIMPLEMENTED,
            429, 502, 503, 504 => StatusCode::UNAVAILABLE,
            default => StatusCode::UNKNOWN,
        };
        $type = $head->header('content-type');
        $server = $head->header('server');

        return self::protocol($code, \sprintf(
            'answer is not gRPC: HTTP status %d, content type %s%s; is a proxy or another server at this address?',
            $head->http,
            '' === $type ? 'missing' : '"' . self::short($type) . '"',
            '' === $server ? '' : ', server "' . self::short($server) . '"',
        ));
    }

    private static function status(string $status, Head $head, MethodDescriptor $method, bool $noBody): ?RpcException
    {
        if ('0' === $status) {
            return null;
        }
        $code = 1 === \preg_match('/^[0-9]{1,9}$/D', $status) ? StatusCode::tryFrom((int) $status) ?? StatusCode::UNKNOWN : StatusCode::UNKNOWN;
        $message = \rawurldecode($head->trailer('grpc-message', $noBody) ?? '');
        $details = $head->trailer('grpc-status-details-bin', $noBody);

        return RpcException::of(self::error($code, self::utf8($message), $details), $method->exceptions);
    }

    private static function error(StatusCode $code, string $message, ?string $encoded): RpcError
    {
        $bytes = null === $encoded ? false : \base64_decode($encoded, true);
        if (false === $bytes || '' === $bytes) {
            return new RpcError($code, $message);
        }
        try {
            $details = Status::decode($bytes)->details;
            foreach ($details as $any) {
                if ($any->is(ErrorInfo::class)) {
                    $info = $any->unpack(ErrorInfo::class);

                    return new RpcError($code, $message, $info->reason, $info->domain, $info->metadata, $details);
                }
            }

            return new RpcError($code, $message, details: $details);
        } catch (DecodeException) {
            return new RpcError($code, $message); // the status itself is known, and counts
        }
    }

    private static function utf8(string $text): string
    {
        return 1 === \preg_match('//u', $text) ? $text : (string) \preg_replace('/[^\x20-\x7e]/', '?', $text);
    }

    private static function short(string $text): string
    {
        return \substr((string) \preg_replace('/[^\x20-\x7e]/', '?', $text), 0, 80);
    }
}
