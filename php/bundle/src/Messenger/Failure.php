<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger;

use Switchyard\Client\Failure\TlsException;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;
use Symfony\Component\Messenger\Exception\TransportException;

/** Tells failures that pass by waiting from those that somebody has to look at. @internal */
final class Failure
{
    private const PASSING = [
        StatusCode::UNAVAILABLE, StatusCode::DEADLINE_EXCEEDED, StatusCode::RESOURCE_EXHAUSTED, StatusCode::ABORTED, StatusCode::CANCELLED,
        StatusCode::INTERNAL, StatusCode::UNKNOWN, StatusCode::DATA_LOSS,
    ];

    private function __construct()
    {
    }

    public static function passes(RpcException $e): bool
    {
        return !$e instanceof TlsException && 'REQUEST_TOO_LARGE' !== $e->error->reason && \in_array($e->error->code, self::PASSING, true);
    }

    /** Whether the lease is not the worker's any more, or the task is forgotten. */
    public static function lostLease(RpcException $e): bool
    {
        return 'LEASE_LOST' === $e->error->reason || StatusCode::NOT_FOUND === $e->error->code;
    }

    public static function wrap(string $what, RpcException $e): TransportException
    {
        $reason = '' === $e->error->reason ? $e->error->code->name : $e->error->reason;

        return new TransportException(\sprintf('%s: %s: %s', $what, $reason, $e->getMessage()), 0, $e);
    }
}
