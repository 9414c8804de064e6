<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\Failure\RequirementException;

/** What the libcurl of this PHP can do, and which of its mistakes have to be worked around. */
final class LibCurl
{
    private static ?self $installed = null;

    /**
     * @param int  $version as curl_version()['version_number']: 0x075801 is 7.88.1
     * @param bool $http2   whether it was built with HTTP/2
     * @param bool $unix    whether it was built with unix sockets
     * @param bool $tls     whether it was built with TLS
     */
    public function __construct(
        public readonly int $version,
        public readonly string $name,
        public readonly bool $http2 = true,
        public readonly bool $unix = true,
        public readonly bool $tls = true,
    ) {
    }

    /** @throws RequirementException */
    public static function installed(): self
    {
        if (null !== self::$installed) {
            return self::$installed;
        }
        $v = \function_exists('curl_version') ? \curl_version() : false;
        $lib = false === $v ? null : new self(
            $v['version_number'],
            $v['version'],
            0 !== ($v['features'] & \CURL_VERSION_HTTP2),
            0 !== ($v['features'] & \CURL_VERSION_UNIX_SOCKETS),
            0 !== ($v['features'] & \CURL_VERSION_SSL),
        );

        return self::$installed = self::checked($lib);
    }

    /**
     * @param ?self $lib null when there is no ext-curl
     *
     * @throws RequirementException that says what to install
     */
    public static function checked(?self $lib): self
    {
        if (null === $lib) {
            throw new RequirementException('Switchyard needs PHP\'s curl extension: install the package php-curl, as in "apt-get install php-curl", and restart PHP.');
        }
        if (!$lib->http2) {
            throw new RequirementException(\sprintf('Switchyard needs a libcurl with HTTP/2, and libcurl %s was built without it: install your distribution\'s libcurl4 and php-curl, or build curl with nghttp2.', $lib->name));
        }

        return $lib;
    }

    /** Reusing a plaintext HTTP/2 connection with prior knowledge fails with error 16. */
    public function breaksPriorKnowledgeReuse(): bool
    {
        return $this->version < 0x080000;
    }

    /** Headers that come in one read with RST_STREAM are dropped: the call spins until its deadline. */
    public function losesEarlyErrors(): bool
    {
        return $this->version < 0x080000;
    }

    /**
     * Of an answer that comes while the request is still being sent, what did not fit into the buffer for one read may be dropped without a word: seen
     * in 9 of 123 streams of 5,000 messages on a busy machine with 7.88.1 and the buffer of 16 KiB, in none of 81 with a larger one.
     */
    public function losesBytesBehindAFullBuffer(): bool
    {
        return $this->version < 0x080000;
    }

    /** Bytes handed over just before a pause of the upload may stay unsent until something else happens. */
    public function forgetsBytesBeforePause(): bool
    {
        return $this->version >= 0x080000 && $this->version < 0x080C00;
    }

    /** A content length that does not fit makes trailers disappear. */
    public function losesTrailersBehindContentLength(): bool
    {
        return $this->version < 0x080600;
    }

    /** Connections may outlive the PHP request. */
    public function sharesConnectionsBetweenRequests(): bool
    {
        return \function_exists('curl_share_init_persistent');
    }

    /**
     * Every workaround with whether this version needs it.
     *
     * @return array<string, bool> by description
     */
    public function workarounds(): array
    {
        return [
            'plaintext: a fresh connection for calls that may not be repeated and for streams; replay when reuse fails (libcurl < 8.0)' => $this->breaksPriorKnowledgeReuse(),
            'client streams: give up when an early error of the server was dropped (libcurl < 8.0)' => $this->losesEarlyErrors(),
            'client streams: nudge libcurl after a pause (8.0 <= libcurl < 8.12)' => $this->forgetsBytesBeforePause(),
            'streams in both directions: a buffer that holds all that is read at once (libcurl < 8.0)' => $this->losesBytesBehindAFullBuffer(),
            'ignore Content-Length, which hides trailers (libcurl < 8.6)' => $this->losesTrailersBehindContentLength(),
        ];
    }
}
