<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\Failure\ConfigurationException;

/**
 * Where the server is:
 *
 *     unix:///run/switchyard.sock            a unix socket
 *     tcp://127.0.0.1:9090                   plaintext HTTP/2; also http://
 *     tls://switchyard.example:443           TLS; also https://
 *     tls://10.0.0.5:9443?ca=/etc/ca.pem&cert=/etc/client.pem&key=/etc/client.key
 */
final class Endpoint
{
    private function __construct(
        public readonly string $base,
        public readonly string $socket,
        public readonly ?Tls $tls,
        private readonly string $text,
    ) {
    }

    public static function unix(string $path): self
    {
        if ('' === $path || '/' !== $path[0] || \str_starts_with($path, '//') || \str_contains($path, "\0")) {
            throw new ConfigurationException(\sprintf('unix socket: "%s" is not an absolute path', $path));
        }
        // sockaddr_un has 108 bytes on Linux and 104 on BSD and macOS, with a zero at the end.
        if (\strlen($path) > ('Linux' === \PHP_OS_FAMILY ? 107 : 103)) {
            throw new ConfigurationException(\sprintf('unix socket: path has %d bytes, more than the system allows: %s', \strlen($path), $path));
        }

        return new self('http://localhost', $path, null, 'unix://' . $path);
    }

    public static function tcp(string $host, int $port): self
    {
        return new self('http://' . self::authority($host, $port), '', null, 'tcp://' . self::authority($host, $port));
    }

    public static function tls(string $host, int $port, ?Tls $tls = null): self
    {
        return new self('https://' . self::authority($host, $port), '', $tls ?? new Tls(), 'tls://' . self::authority($host, $port));
    }

    /** @throws ConfigurationException when the text is not one of the forms above */
    public static function parse(string $dsn): self
    {
        $parts = \str_starts_with($dsn, 'unix:') ? ['scheme' => 'unix', 'path' => \preg_replace('~^unix:(//(?=/))?~', '', $dsn)] : \parse_url($dsn);
        $scheme = \is_array($parts) ? $parts['scheme'] ?? '' : '';
        $host = \is_array($parts) ? \trim($parts['host'] ?? '', '[]') : '';
        \parse_str(\is_array($parts) ? $parts['query'] ?? '' : '', $query);
        if ('unix' === $scheme) {
            return self::unix($parts['path']);
        }
        $secure = 'tls' === $scheme || 'https' === $scheme;
        if ('' === $host || !$secure && 'tcp' !== $scheme && 'http' !== $scheme || !\in_array($parts['path'] ?? '', ['', '/'], true)
            || isset($parts['user']) || \array_diff_key($query, $secure ? ['ca' => 1, 'cert' => 1, 'key' => 1] : [])) {
            throw new ConfigurationException(\sprintf('DSN "%s" is none of unix:///path/of.sock, tcp://host:port, tls://host:port?ca=…&cert=…&key=…', self::masked($dsn)));
        }
        $port = $parts['port'] ?? ($secure ? 443 : 9090);

        return $secure
            ? self::tls($host, $port, new Tls((string) ($query['ca'] ?? ''), (string) ($query['cert'] ?? ''), (string) ($query['key'] ?? '')))
            : self::tcp($host, $port);
    }

    /** For messages; without secrets. */
    public function __toString(): string
    {
        return $this->text;
    }

    private static function authority(string $host, int $port): string
    {
        if ($port < 1 || $port > 65535 || 1 !== \preg_match('/^[A-Za-z0-9._:-]+$/D', $host)) {
            throw new ConfigurationException(\sprintf('"%s" port %d is not an address', $host, $port));
        }

        return (\str_contains($host, ':') ? '[' . $host . ']' : $host) . ':' . $port;
    }

    private static function masked(string $dsn): string
    {
        return (string) \preg_replace('~//[^/@]*@~', '//…@', $dsn);
    }
}
