<?php

declare(strict_types=1);

namespace Switchyard\Client\Failure;

use Switchyard\Client\RpcException;

/** The answer is not what gRPC allows: a page of a proxy, a cut message, a message of another type. */
final class ProtocolException extends RpcException
{
}
