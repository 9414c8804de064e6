<?php

declare(strict_types=1);

/*
 * The client under test of the Connect conformance suite: reads calls from standard input, makes them with the generated client over
 * the real transport, and writes what came of them. script/conformance starts it.
 */

namespace Switchyard\Client\Tests\Conformance;

use Connectrpc\Conformance\V1\ClientCompatRequest;
use Connectrpc\Conformance\V1\StreamType;

$autoload = require __DIR__ . '/../../autoload.php';
$autoload('Connectrpc\\Conformance\\', \getenv('SWITCHYARD_CONFORMANCE_PHP') . '/Connectrpc/Conformance');
$autoload(__NAMESPACE__ . '\\', __DIR__);

\set_error_handler(static function (int $level, string $message, string $file, int $line): never {
    throw new \ErrorException($message, 0, $level, $file, $line); // a warning is a defect
});

$read = static function (int $n): string {
    $bytes = '';
    while (\strlen($bytes) < $n && false !== ($part = \fread(\STDIN, $n - \strlen($bytes))) && '' !== $part) {
        $bytes .= $part;
    }

    return $bytes;
};
$log = (string) \getenv('SWITCHYARD_CONFORMANCE_LOG'); // for tally.php; the runner starts several of us
while ('' !== $length = $read(4)) {
    $ask = ClientCompatRequest::decode($read(\unpack('N', $length)[1]));
    if ('' !== $log) {
        $kind = match ($ask->streamType) {
            StreamType::UNARY => 'unary',
            StreamType::SERVER_STREAM => 'server-stream',
            StreamType::CLIENT_STREAM => 'client-stream',
            StreamType::HALF_DUPLEX_BIDI_STREAM => 'half-duplex',
            StreamType::FULL_DUPLEX_BIDI_STREAM => 'full-duplex',
        };
        \file_put_contents($log, "$kind $ask->testName\n", \FILE_APPEND | \LOCK_EX);
    }
    $response = (new Invoker())->run($ask)->encode();
    \fwrite(\STDOUT, \pack('N', \strlen($response)) . $response);
    \fflush(\STDOUT);
}
