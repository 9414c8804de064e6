<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\Compression;

/** What is the same for every call of a transport. */
final class Settings
{
    /**
     * @param ?int $timeoutMillis       deadline of calls for which neither the options nor the contract have one; null for none, and calls that may hang
     * @param int $connectTimeoutMillis how long a connection may take to be made
     * @param int $maxSendBytes         per message; 4 MiB is what gRPC servers accept without being told otherwise, Switchyard accepts 8
     * @param int $maxReceiveBytes      per message, after decompression
     */
    public function __construct(
        public readonly ?int $timeoutMillis = 10_000,
        public readonly int $connectTimeoutMillis = 2_000,
        public readonly int $maxSendBytes = 4 << 20,
        public readonly int $maxReceiveBytes = 16 << 20,
        public readonly Compression $compression = Compression::NONE,
    ) {
    }
}
