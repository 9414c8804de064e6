<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Client;

use Switchyard\Client\Exception;
use Switchyard\Client\Failure\CircuitOpenException;
use Switchyard\Client\Failure\TlsException;
use Switchyard\Client\Failure\UnreachableException;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;

/** Says failures of calls in one sentence each, and which of them pass by waiting. */
final class Failures
{
    /** Whether the same call may succeed later without anybody changing anything. */
    public static function mayPass(\Throwable $failure): bool
    {
        return $failure instanceof RpcException && !$failure instanceof TlsException && \in_array($failure->error->code, [
            StatusCode::UNAVAILABLE, StatusCode::DEADLINE_EXCEEDED, StatusCode::RESOURCE_EXHAUSTED, StatusCode::ABORTED, StatusCode::CANCELLED,
            StatusCode::INTERNAL, StatusCode::UNKNOWN, StatusCode::DATA_LOSS,
        ], true);
    }

    public static function sentence(Exception $failure): string
    {
        if (!$failure instanceof RpcException) {
            return $failure->getMessage();
        }
        $message = $failure->getMessage();
        $message .= \in_array(\substr($message, -1), ['.', '?', '!'], true) ? '' : '.';
        $hint = match (true) {
            $failure instanceof UnreachableException => '', // says itself what to look at
            $failure instanceof TlsException => 'Compare the authority in "tls.ca" and the host in the DSN with the server\'s certificate.',
            $failure instanceof CircuitOpenException => 'The last calls failed; it tries again by itself.',
            default => self::hint($failure->error->reason, $failure->error->code),
        };

        return \sprintf('%s: %s%s', '' === $failure->error->reason ? $failure->error->code->name : $failure->error->reason, $message, '' === $hint ? '' : ' ' . $hint);
    }

    private static function hint(string $reason, StatusCode $code): string
    {
        return match ($reason) {
            'KEY_MISSING', 'KEY_INVALID', 'KEY_EXPIRED', 'KEY_REVOKED' => 'Set the client\'s "key" to one that "switchyard keys create" printed.',
            'SCOPE_MISSING' => 'Use a key that holds it.',
            'DEPLOYMENT_NOT_FOUND', 'MODEL_NOT_DEPLOYED' => 'Name another deployment, or deploy a model under this name.',
            '' => StatusCode::DEADLINE_EXCEEDED === $code ? 'The server answers too slowly, or the timeout is too short.' : '',
            default => '',
        };
    }
}
