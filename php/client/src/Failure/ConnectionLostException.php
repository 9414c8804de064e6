<?php

declare(strict_types=1);

namespace Switchyard\Client\Failure;

use Switchyard\Client\RpcException;

/** The connection ended before the answer did. The server may have done the work. */
final class ConnectionLostException extends RpcException
{
}
