<?php

declare(strict_types=1);

/*
 * The client under test of the Connect conformance suite: reads calls from standard input, makes them with the generated client over
 * the real transport, and writes what came of them. script/conformance starts it.
 */

namespace Switchyard\Client\Tests\Conformance;

use Connectrpc\Conformance\V1\ClientCompatRequest;

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
while ('' !== $length = $read(4)) {
    $response = (new Invoker())->run(ClientCompatRequest::decode($read(\unpack('N', $length)[1])))->encode();
    \fwrite(\STDOUT, \pack('N', \strlen($response)) . $response);
    \fflush(\STDOUT);
}
