<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\Message\Message;

/** A call that failed. Reasons of the contract have subclasses of their own. */
class RpcException extends \RuntimeException implements Exception
{
    final public function __construct(public readonly RpcError $error, ?\Throwable $previous = null)
    {
        parent::__construct($error->message, $error->code->value, $previous);
    }

    /**
     * The exception for an error: of the contract's factory when the method names one.
     *
     * @param class-string<ExceptionFactory>|null $factory
     */
    public static function of(RpcError $error, ?string $factory = null, ?\Throwable $previous = null): self
    {
        return null === $factory ? new self($error, $previous) : $factory::create($error, $previous);
    }

    /**
     * The first detail of a type.
     *
     * @template T of Message
     *
     * @param class-string<T> $class
     *
     * @return T|null
     */
    public function detail(string $class): ?Message
    {
        foreach ($this->error->details as $any) {
            if ($any->is($class)) {
                return $any->unpack($class);
            }
        }

        return null;
    }
}
