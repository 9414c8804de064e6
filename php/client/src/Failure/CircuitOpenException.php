<?php

declare(strict_types=1);

namespace Switchyard\Client\Failure;

use Switchyard\Client\RpcException;

/** The last calls failed, so this one was not sent. CircuitBreaker says when calls are tried again. */
final class CircuitOpenException extends RpcException
{
}
