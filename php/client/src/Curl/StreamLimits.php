<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\Grpc\Deadline;

/**
 * How long a stream may take. Without a deadline of its own only the waits are bounded until the first response has come, since a
 * stream that watches something lives as long as its reader.
 *
 * @internal
 */
final class StreamLimits
{
    /** @param ?int $firstMillis the longest wait for the first response, and for the server to take a request */
    public function __construct(
        public readonly ?Deadline $overall,
        public readonly ?int $firstMillis,
        public readonly int $maxSendBytes,
    ) {
    }
}
