<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\WellKnown\Any;

/** Why a call failed, as the server or the transport said it. */
final class RpcError
{
    /**
     * @param string                $reason   of google.rpc.ErrorInfo, for example "MODEL_NOT_DEPLOYED"; empty without one
     * @param string                $domain   of google.rpc.ErrorInfo
     * @param array<string, string> $metadata of google.rpc.ErrorInfo
     * @param list<Any>             $details  everything in google.rpc.Status.details
     */
    public function __construct(
        public readonly StatusCode $code,
        public readonly string $message = '',
        public readonly string $reason = '',
        public readonly string $domain = '',
        public readonly array $metadata = [],
        public readonly array $details = [],
    ) {
    }
}
