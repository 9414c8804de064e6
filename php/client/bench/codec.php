<?php

declare(strict_types=1);

/*
 * One side of the codec measurement: prints "operation nanoseconds" of processor time, the best of several runs, which other processes
 * disturb least. Arguments: ours or google; the folder of google/protobuf's generated classes; files with a request and a response.
 */

use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerateTextResponse;

[, $side, $google, $requestFile, $responseFile] = $argv;
if ('ours' === $side) {
    $autoload = require __DIR__ . '/../autoload.php';
    $autoload('Switchyard\\', __DIR__ . '/../../../gen/php/Switchyard');
} else {
    \spl_autoload_register(static function (string $class) use ($google): void {
        foreach ([$google, '/usr/share/php'] as $dir) {
            if (\is_file($file = $dir . '/' . \strtr($class, '\\', '/') . '.php')) {
                require $file;

                return;
            }
        }
        if (\str_starts_with($class, 'GPBMetadata\\')) { // of files that hold nothing but options
            $at = (int) \strrpos($class, '\\');
            eval(\sprintf('namespace %s; final class %s { public static function initOnce(): void {} }', \substr($class, 0, $at), \substr($class, $at + 1)));
        }
    });
}

$bytes = ['request' => (string) \file_get_contents($requestFile), 'response' => (string) \file_get_contents($responseFile)];
$classes = ['request' => ModerateTextRequest::class, 'response' => ModerateTextResponse::class];
foreach ($classes as $name => $class) {
    $b = $bytes[$name];
    if ('ours' === $side) {
        $message = $class::decode($b);
        $do = ['encode' => static fn () => $message->encode(), 'decode' => static fn () => $class::decode($b)];
        $same = $class::decode($do['encode']()) == $message;
    } else {
        $message = new $class();
        $message->mergeFromString($b);
        $do = ['encode' => static fn () => $message->serializeToString(), 'decode' => static fn () => (new $class())->mergeFromString($b)];
        $again = new $class();
        $again->mergeFromString($do['encode']());
        $same = $again->serializeToString() === $do['encode']();
    }
    if (!$same || \strlen($do['encode']()) !== \strlen($b)) {
        \fwrite(\STDERR, "$side: the $name does not survive\n");
        exit(1);
    }
    $loops = 'ours' === $side ? 5000 : 500;
    foreach ($do as $operation => $once) {
        $best = \INF;
        for ($run = 0; $run < 8; ++$run) {
            $before = \getrusage();
            for ($i = 0; $i < $loops; ++$i) {
                $once();
            }
            $after = \getrusage();
            $micros = 1e6 * ($after['ru_utime.tv_sec'] - $before['ru_utime.tv_sec']) + $after['ru_utime.tv_usec'] - $before['ru_utime.tv_usec'];
            $best = 0 === $run ? $best : \min($best, 1000 * $micros / $loops); // the first one warms up
        }
        \printf("%s-%s %.0f\n", $name, $operation, $best);
    }
}
