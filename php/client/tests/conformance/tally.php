<?php

declare(strict_types=1);

/*
 * Counts what the suite asked and what failed, by kind of call, and ends with 1 when that is not what php/client promises: a suite that
 * leaves cases out, or passes because nobody looked, is a failure too. Arguments: the log of client.php, the output of the runner.
 */

const CASES = ['unary' => 252, 'server-stream' => 182, 'client-stream' => 70, 'half-duplex' => 76, 'full-duplex' => 66];

/** What libcurl before 8.0 may fail, see known-flaky-libcurl-7.txt. */
const KNOWN = '~/bidi-stream/full-duplex/error-no-responses$~';

[, $log, $output] = $argv;
$old = \curl_version()['version_number'] < 0x080000;
$asked = [];
foreach (\file($log, \FILE_IGNORE_NEW_LINES) ?: [] as $line) {
    [$kind, $name] = \explode(' ', $line, 2);
    $asked[$kind][$name] = true;
}
\preg_match_all('/^(?:INFO|FAILED): (\S.*) failed/m', (string) \file_get_contents($output), $m);
$failed = \array_flip($m[1]);
$good = true;
foreach (CASES as $kind => $cases) {
    $names = $asked[$kind] ?? [];
    $bad = \array_intersect_key($names, $failed);
    $unknown = $old ? \preg_grep(KNOWN, \array_keys($bad), \PREG_GREP_INVERT) : \array_keys($bad);
    $right = \count($names) === $cases && [] === $unknown;
    $good = $good && $right;
    \printf("%-7s %-14s %3d of %3d%s\n", $right ? 'ok' : 'FAILED', $kind, \count($names) - \count($bad), $cases, [] === $bad ? '' : \sprintf(', %d known to fail', \count($bad) - \count($unknown)));
}
\printf("libcurl %s, PHP %s\n", \curl_version()['version'], \PHP_VERSION);
exit($good ? 0 : 1);
