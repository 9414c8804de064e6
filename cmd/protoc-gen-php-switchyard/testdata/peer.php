<?php

declare(strict_types=1);

// The PHP side of the round-trip tests: reads frames (operation, type, payload) from standard
// input and answers each with one frame (verdict, payload). Any warning or notice ends the test.
// Arguments: the directory of the runtime, then directories of generated code.

namespace Peer;

use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\EncodeException;
use Switchyard\Client\Message\TypeRegistry;

\error_reporting(\E_ALL);
\set_error_handler(static function (int $level, string $message, string $file, int $line): never {
    throw new \ErrorException($message, 0, $level, $file, $line);
});
[, $runtime] = $argv;
$generated = \array_slice($argv, 2);
\spl_autoload_register(static function (string $class) use ($runtime, $generated): void {
    if (\str_starts_with($class, 'Switchyard\Client\\')) {
        require $runtime . '/' . \strtr(\substr($class, 18), '\\', '/') . '.php';

        return;
    }
    foreach ($generated as $dir) {
        $file = $dir . '/' . \strtr($class, '\\', '/') . '.php';
        if (\is_file($file)) {
            require $file;

            return;
        }
    }
});

$manifests = \array_map(static fn (string $dir): string => $dir . '/manifest.php', $generated);
$types = TypeRegistry::fromManifest(...$manifests);
$options = new JsonOptions(types: $types);

function take(int $n): string
{
    $bytes = '';
    while (\strlen($bytes) < $n) {
        $more = \fread(\STDIN, $n - \strlen($bytes));
        if ('' === $more || false === $more) {
            exit(0);
        }
        $bytes .= $more;
    }

    return $bytes;
}

while (true) {
    ['op' => $op, 'type' => $typeLength, 'payload' => $length] = \unpack('aop/Vtype/Vpayload', take(9));
    $type = $typeLength > 0 ? take($typeLength) : '';
    $payload = $length > 0 ? take($length) : '';
    $before = \memory_get_usage();
    \memory_reset_peak_usage();
    \set_time_limit(10); // an endless loop is a fatal error, which names its place
    $started = \hrtime(true);
    try {
        $class = $types->find($type) ?? throw new \LogicException('no class for ' . $type);
        $answer = match ($op) {
            'b' => $class::decode($payload)->encode(),
            'j' => $class::decode($payload)->toJson($options),
            'f' => $class::fromJson($payload, $options)->encode(),
            // Cloned by name: every property reaches the constructor under the right one.
            'w' => $class::decode($payload)->with()->encode(),
        };
        $verdict = '+';
    } catch (DecodeException | EncodeException $e) {
        $verdict = '-';
        $answer = $e->getMessage();
    } catch (\Throwable $e) {
        $verdict = '!';
        $answer = (string) $e;
    }
    $grown = \memory_get_peak_usage() - $before;
    if ('!' !== $verdict && $grown > 16 << 20) {
        $verdict = '!';
        $answer = "needed $grown bytes of memory";
    }
    if ('!' !== $verdict && \hrtime(true) - $started > 5e9) {
        $verdict = '!';
        $answer = 'needed more than 5 s';
    }
    \fwrite(\STDOUT, $verdict . \pack('V', \strlen($answer)) . $answer);
}
