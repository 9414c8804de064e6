<?php

declare(strict_types=1);

/* What the measured programs share: the request, and the floor that a call is compared with. */

use Switchyard\Client\Curl\Endpoint;
use Switchyard\Moderation\V1\ModerateTextRequest;

function autoload(): void
{
    $autoload = require __DIR__ . '/../autoload.php';
    $autoload('Switchyard\\', __DIR__ . '/../../../gen/php/Switchyard');
}

if (\PHP_SAPI === 'cli') {
    autoload();
}

function request(): ModerateTextRequest
{
    return new ModerateTextRequest(
        deployment: 'comments',
        text: 'I have written to the support three times this week and nobody answered; the parcel came broken, the refund was refused, and the new form '
            . 'asks for my phone number twice. You are all idiots. Tell your manager that I will write about it wherever I can, and win a free phone at http://claim.example now!',
        locale: 'en',
        authorId: 'u-123456',
        contentId: 'c-99887766',
    );
}

/** Plain curl: the options without which gRPC does not work, and a frame that is there already. */
function floor_handle(string $dsn, string $key, ?string $frame = null): \CurlHandle
{
    $endpoint = Endpoint::parse($dsn);
    $bytes = null === $frame ? request()->encode() : '';
    $handle = \curl_init($endpoint->base . '/switchyard.moderation.v1.ModerationService/ModerateText');
    \curl_setopt_array($handle, [
        \CURLOPT_POSTFIELDS => $frame ?? \pack('CN', 0, \strlen($bytes)) . $bytes,
        \CURLOPT_HTTPHEADER => ['content-type: application/grpc', 'te: trailers', 'Expect:', 'Accept:', 'authorization: Bearer ' . $key],
        \CURLOPT_HTTP_VERSION => null === $endpoint->tls ? \CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : \CURL_HTTP_VERSION_2TLS,
        \CURLOPT_RETURNTRANSFER => true,
    ] + ('' === $endpoint->socket ? [] : [\CURLOPT_UNIX_SOCKET_PATH => $endpoint->socket]) + ($endpoint->tls?->options() ?? []));

    return $handle;
}

function floor_call(\CurlHandle $handle): void
{
    if (!\is_string($answer = \curl_exec($handle)) || \strlen($answer) < 100) {
        throw new \RuntimeException('the floor got no answer: ' . \curl_error($handle));
    }
}
