<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\Message\Message;
use Switchyard\Client\ServerStreamCall;

/**
 * @internal
 *
 * @template TResponse of Message
 *
 * @implements ServerStreamCall<TResponse>
 */
final class ServerStream implements ServerStreamCall
{
    use Responses;

    public function __construct(private readonly Stream $stream)
    {
    }
}
