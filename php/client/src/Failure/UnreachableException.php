<?php

declare(strict_types=1);

namespace Switchyard\Client\Failure;

use Switchyard\Client\RpcException;

/** No connection: nothing listens, the socket is missing or may not be opened, the name is unknown. Nothing was sent. */
final class UnreachableException extends RpcException
{
}
