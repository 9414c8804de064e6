<?php

declare(strict_types=1);

namespace Switchyard\Client\Grpc;

use Switchyard\Client\StatusCode;

/**
 * A body that cannot be cut into messages. The transport turns it into an RpcException.
 *
 * @internal
 */
final class BrokenFrame extends \RuntimeException
{
    public function __construct(public readonly StatusCode $status, string $message)
    {
        parent::__construct($message);
    }
}
