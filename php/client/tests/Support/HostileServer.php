<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Support;

/**
 * A server that says what it is told to, byte by byte. Scripts are lists of what follows the request: "raw:" and bytes, or a list of HTTP/2
 * frames that frames() makes. Each connection gets the same.
 */
final class HostileServer
{
    public readonly int $port;

    /** @var resource|null */
    private $process;

    /**
     * @param string $answer bytes that are sent as soon as a request has come, before the connection is closed
     * @param string $early  bytes that are sent before; then nothing happens for so many milliseconds, and then the request may go on
     */
    public function __construct(string $answer, bool $http2 = true, int $holdMillis = 30, string $early = '', int $stallMillis = 0)
    {
        $file = Folder::make() . '/answer';
        \file_put_contents($file, $answer);
        $this->process = \proc_open(
            [\PHP_BINARY, '-n', __DIR__ . '/hostile.php', $file, $http2 ? '1' : '0', (string) $holdMillis, (string) $stallMillis, \base64_encode($early)],
            [['file', '/dev/null', 'r'], ['pipe', 'w'], ['file', '/dev/null', 'w']],
            $pipes,
        );
        $this->port = (int) \fgets($pipes[1]);
    }

    public function __destruct()
    {
        \proc_terminate($this->process, 9);
        \proc_close($this->process);
    }

    /**
     * A response of HTTP/2 on the first stream.
     *
     * @param array<string, string>      $headers  without the pseudo header of the status
     * @param array<string, string>|null $trailers null for none: the body ends the stream
     */
    public static function response(int $status, array $headers, string $body, ?array $trailers): string
    {
        return self::frame(1, 0x4, self::fields([':status' => (string) $status] + $headers))
            . ('' === $body && null !== $trailers ? '' : self::frame(0, null === $trailers ? 0x1 : 0, $body))
            . (null === $trailers ? '' : self::frame(1, 0x5, self::fields($trailers)));
    }

    /** The headers of an answer of gRPC whose rest comes later. */
    public static function headers(): string
    {
        return self::frame(1, 0x4, self::fields([':status' => '200', 'content-type' => 'application/grpc']));
    }

    /** The rest of such an answer. */
    public static function rest(string $body): string
    {
        return self::frame(0, 0, $body) . self::frame(1, 0x5, self::fields(['grpc-status' => '0']));
    }

    /** A whole answer of gRPC. */
    public static function grpc(string $body, ?array $trailers = ['grpc-status' => '0']): string
    {
        return self::response(200, ['content-type' => 'application/grpc'], $body, $trailers);
    }

    public static function message(string $bytes, int $flag = 0): string
    {
        return \chr($flag) . \pack('N', \strlen($bytes)) . $bytes;
    }

    public static function frame(int $type, int $flags, string $payload, int $stream = 1): string
    {
        $out = '';
        do { // the largest frame without negotiation has 16 KiB
            $part = \substr($payload, 0, 16384);
            $payload = (string) \substr($payload, 16384);
            $out .= \substr(\pack('N', \strlen($part)), 1) . \chr($type) . \chr('' === $payload ? $flags : 0) . \pack('N', $stream) . $part;
        } while ('' !== $payload);

        return $out;
    }

    /** Fields as HPACK literals without an index: https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2 */
    private static function fields(array $fields): string
    {
        $out = '';
        foreach ($fields as $name => $value) {
            $out .= "\0" . \chr(\strlen($name)) . $name . (\strlen($value) < 127 ? \chr(\strlen($value)) : "\x7f" . self::varint(\strlen($value) - 127)) . $value;
        }

        return $out;
    }

    private static function varint(int $n): string
    {
        for ($out = ''; $n > 127; $n >>= 7) {
            $out .= \chr($n & 127 | 128);
        }

        return $out . \chr($n);
    }
}
