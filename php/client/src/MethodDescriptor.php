<?php

declare(strict_types=1);

namespace Switchyard\Client;

use Switchyard\Client\Message\Message;

/**
 * What the contract says about one method.
 *
 * @template TResponse of Message
 */
final class MethodDescriptor
{
    /**
     * @param string                              $path          HTTP/2 path: "/switchyard.moderation.v1.ModerationService/ModerateText"
     * @param class-string<TResponse>             $response      class of the responses
     * @param ?int                                $timeoutMillis deadline of the contract, of a stream for its first response; null when it names none
     * @param bool                                $idempotent    whether repeating the call does no harm
     * @param string                              $scope         permission that the server asks for
     * @param class-string<ExceptionFactory>|null $exceptions    makes exceptions from the contract's error reasons
     */
    public function __construct(
        public readonly string $path,
        public readonly string $response,
        public readonly ?int $timeoutMillis = null,
        public readonly bool $idempotent = false,
        public readonly string $scope = '',
        public readonly ?string $exceptions = null,
    ) {
    }
}
