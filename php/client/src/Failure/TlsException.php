<?php

declare(strict_types=1);

namespace Switchyard\Client\Failure;

use Switchyard\Client\RpcException;

/** No connection that could be trusted: certificate, authority, name or protocol version do not fit. Nothing was sent. */
final class TlsException extends RpcException
{
}
