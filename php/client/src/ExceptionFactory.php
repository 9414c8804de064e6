<?php

declare(strict_types=1);

namespace Switchyard\Client;

/** Chooses the exception class of an error by its reason. Generated from the enum ErrorReason of a contract. */
interface ExceptionFactory
{
    public static function create(RpcError $error, ?\Throwable $previous = null): RpcException;
}
