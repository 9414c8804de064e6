<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

/**
 * Makes curl handles with the options that all calls share.
 *
 * @internal
 */
final class Handle
{
    private static ?object $persistent = null;

    private function __construct()
    {
    }

    public static function create(Endpoint $endpoint, Settings $settings, LibCurl $curl): \CurlHandle
    {
        $options = [
            \CURLOPT_POST => true,
            \CURLOPT_USERAGENT => Request::USER_AGENT,
            \CURLOPT_HTTP_VERSION => null === $endpoint->tls ? \CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : \CURL_HTTP_VERSION_2TLS,
            \CURLOPT_PROTOCOLS => null === $endpoint->tls ? \CURLPROTO_HTTP : \CURLPROTO_HTTPS,
            \CURLOPT_FOLLOWLOCATION => false,
            \CURLOPT_PROXY => '', // http_proxy of the environment cannot carry plaintext HTTP/2
            \CURLOPT_IGNORE_CONTENT_LENGTH => true, // libcurl < 8.6 loses trailers otherwise, and gRPC has no use for it
            \CURLOPT_NOSIGNAL => true, // timeouts below a second
            \CURLOPT_TCP_NODELAY => true,
            \CURLOPT_TCP_KEEPALIVE => true,
            \CURLOPT_CONNECTTIMEOUT_MS => $settings->connectTimeoutMillis,
        ];
        if ($curl->losesBytesBehindAFullBuffer()) {
            $options[\CURLOPT_BUFFERSIZE] = 128 << 10; // more than the 32 KiB that it reads from HTTP/2 at once; 16 KiB without
        }
        if ('' !== $endpoint->socket) {
            $options[\CURLOPT_UNIX_SOCKET_PATH] = $endpoint->socket;
        }
        if (null !== $endpoint->tls) {
            $options += $endpoint->tls->options();
        }
        $handle = \curl_init();
        \curl_setopt_array($handle, $options);
        if ($curl->sharesConnectionsBetweenRequests()) {
            // PHP 8.5: connections outlive the request of an FPM worker; of a new TLS connection that saves four fifths of the time.
            self::$persistent ??= \curl_share_init_persistent([\CURL_LOCK_DATA_DNS, \CURL_LOCK_DATA_SSL_SESSION, \CURL_LOCK_DATA_CONNECT]);
            \curl_setopt($handle, \CURLOPT_SHARE, self::$persistent);
        }

        return $handle;
    }
}
