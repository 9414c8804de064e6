<?php

declare(strict_types=1);

/*
 * Measures the figures of php/client and prints the rows of docs/reference/performance.md. script/bench-php starts it.
 *
 *     run.php --google=FOLDER --next=PHP [--only=codec,fpm,worker,stream,memory] [--rounds=5]
 *
 * Each ratio is the median of ratios of alternating rounds within this run; speeds without one depend on the machine.
 */

use Switchyard\Client\Connection;
use Switchyard\Client\Tests\Support\Certificates;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Fpm;
use Switchyard\Client\Tests\Support\Server;
use Switchyard\Moderation\V1\ModerationClient;

require __DIR__ . '/common.php';
$autoload = require __DIR__ . '/../autoload.php';
$autoload('Switchyard\\Client\\Tests\\', __DIR__ . '/../tests');
$options = \getopt('', ['google:', 'next:', 'only:', 'rounds:']);
$rounds = (int) ($options['rounds'] ?? 5);
$only = \array_filter(\explode(',', $options['only'] ?? ''));
$wanted = static fn (string $group): bool => [] === $only || \in_array($group, $only, true);

/** @param list<float> $values */
function median(array $values): float
{
    \sort($values);

    return $values[\intdiv(\count($values), 2)];
}

/** @param list<float> $values */
function span(array $values, int $digits = 2): string
{
    return \sprintf('%.*f–%.*f', $digits, \min($values), $digits, \max($values));
}

/** Lines that a child prints. @return list<string> */
function child(string $php, array $arguments): array
{
    \exec($php . ' ' . \implode(' ', \array_map('escapeshellarg', $arguments)), $lines, $code);
    if (0 !== $code) {
        throw new RuntimeException(\implode(' ', $arguments) . ' failed');
    }

    return $lines;
}

function row(string $group, string $what, string $measured, string $figure, ?bool $met, string $basis): void
{
    \printf("| %s | %s | %s | %s | %s | `make bench-php ONLY=%s` |\n", $what, $measured, $figure, null === $met ? '' : ($met ? 'yes' : '**no**'), $basis, $group);
}

$server = Server::start();
$dsn = 'unix://' . $server->socket;
$next = $options['next'] ?? \PHP_BINARY;
\printf("PHP %s with libcurl %s, OPcache on; libcurl 8 is %s. Load average %s.\n\n", \PHP_VERSION, \curl_version()['version'], child($next, ['-r', 'echo curl_version()["version"], " with PHP ", PHP_VERSION;'])[0], \implode(' ', \array_map(static fn (float $l): string => \sprintf('%.1f', $l), \sys_getloadavg() ?: [])));
echo "| what | measured | figure | met | ratio basis, spread | command |\n|---|--:|--:|---|---|---|\n";

if ($wanted('codec')) {
    $dir = Folder::make();
    $answer = (new ModerationClient(Connection::open($dsn, $server->key)))->moderateText(request());
    \file_put_contents($dir . '/request', request()->encode());
    \file_put_contents($dir . '/response', $answer->encode());
    foreach (['without JIT' => '-d opcache.jit=0', 'with tracing JIT' => '-d opcache.jit=tracing -d opcache.jit_buffer_size=64M'] as $jit => $flags) {
        $times = [];
        for ($round = 0; $round < $rounds; ++$round) {
            foreach (['ours', 'google'] as $side) {
                $php = \PHP_BINARY . ' -d opcache.enable_cli=1 ' . $flags;
                foreach (child($php, [__DIR__ . '/codec.php', $side, $options['google'] ?? '', $dir . '/request', $dir . '/response']) as $line) {
                    [$operation, $nanos] = \explode(' ', $line);
                    $times[$side][$operation][] = (float) $nanos / 1000;
                }
            }
        }
        $sum = static function (string $side, string $message) use (&$times): array {
            return \array_map(static fn (float $a, float $b): float => $a + $b, $times[$side][$message . '-encode'], $times[$side][$message . '-decode']);
        };
        $total = static fn (string $side): array => \array_map(static fn (float $a, float $b): float => $a + $b, $sum($side, 'request'), $sum($side, 'response'));
        $plain = 'without JIT' === $jit;
        foreach (['request' => '330 bytes of text', 'response' => \sprintf('as the server sends it: decision, 2 labels, 5 n-grams, %d bytes', \strlen($answer->encode()))] as $message => $which) {
            $own = $sum('ours', $message);
            row(
                'codec',
                "encode + decode of a ModerateText $message ($which), $jit",
                \sprintf('%.2f µs', median($own)),
                $plain ? '≤ 5 µs' : '',
                $plain ? median($own) <= 5 : null,
                \sprintf('processor time; encode %.2f, decode %.2f µs; google/protobuf %.1f and %.1f µs', median($times['ours'][$message . '-encode']), median($times['ours'][$message . '-decode']), median($times['google'][$message . '-encode']), median($times['google'][$message . '-decode'])),
            );
        }
        $ratios = \array_map(static fn (float $g, float $o): float => $g / $o, $total('google'), $total('ours'));
        row('codec', "request and response, encode and decode, against google/protobuf in PHP, $jit", \sprintf('%.1f ×', median($ratios)), '≥ 20 ×', median($ratios) >= 20,
            \sprintf('google/protobuf %.0f µs : ours %.1f µs; ratios %s', median($total('google')), median($total('ours')), span($ratios, 1)));
    }
}

if ($wanted('fpm') || $wanted('memory')) {
    // What PHP costs is asked, not what the server's disk takes to keep the record of a decision.
    (new Switchyard\Models\V1\ModelClient(Switchyard\Client\Connection::open($dsn, $server->key)))->updatePolicy(new Switchyard\Models\V1\UpdatePolicyRequest(
        operation: Switchyard\Common\V1\Operation::MODERATION,
        deployment: 'comments',
        policy: new Switchyard\Models\V1\Policy(record: Switchyard\Models\V1\RecordMode::ASYNC),
    ));
    $fpm = new Fpm(1);
    $frame = Folder::make() . '/frame';
    $bytes = request()->encode();
    \file_put_contents($frame, \pack('CN', 0, \strlen($bytes)) . $bytes);
    $page = static function (string $mode) use ($fpm, $dsn, $server, $frame): array {
        $begin = \hrtime(true);
        $said = $fpm->read($fpm->ask(__DIR__ . '/page.php', ['MODE' => $mode, 'DSN' => $dsn, 'KEY' => $server->key, 'FRAME' => $frame]));
        $took = (\hrtime(true) - $begin) / 1e6;
        if ('memory' === $mode ? !\is_numeric($said) : 'ok' !== $said) {
            throw new RuntimeException("page $mode says: $said");
        }

        return [$took, $said];
    };
    for ($i = 0; $i < 30; ++$i) {
        \array_map($page, ['none', 'floor', 'rpc', 'memory']);
    }
    if ($wanted('fpm')) {
        $all = ['none' => [], 'floor' => [], 'rpc' => []];
        $ratios = $costs = [];
        for ($round = 0; $round < $rounds; ++$round) {
            $times = ['none' => [], 'floor' => [], 'rpc' => []];
            for ($i = 0; $i < 200; ++$i) {
                foreach (\array_keys($times) as $mode) {
                    $times[$mode][] = $page($mode)[0];
                }
            }
            $p50 = \array_map('median', $times);
            $costs[] = $p50['rpc'] - $p50['none'];
            $ratios[] = ($p50['rpc'] - $p50['none']) / \max(0.001, $p50['floor'] - $p50['none']);
            foreach ($p50 as $mode => $value) {
                $all[$mode][] = $value;
            }
        }
        row('fpm', 'one PHP-FPM request with one RPC over a new unix connection (record async), minus the same without, p50', \sprintf('%.2f ms', median($costs)), '≤ 0.35 ms on an idle machine', median($costs) <= 0.35,
            \sprintf('page without %.2f ms, with plain curl %.2f ms, with php/client %.2f ms; rounds %s', median($all['none']), median($all['floor']), median($all['rpc']), span($costs)));
        row('fpm', 'the same against the floor: a plain `curl_exec` with a body encoded before', \sprintf('%.2f ×', median($ratios)), '≤ 2.50 ×', median($ratios) <= 2.5, 'ratios ' . span($ratios));
    }
    if ($wanted('memory')) {
        $added = median(\array_map(static fn (int $_): float => (float) $page('memory')[1], \range(1, 20)));
        row('memory', 'memory that autoloading one client and one call add to a PHP-FPM worker', \sprintf('%.2f MiB', $added / (1 << 20)), '≤ 1 MiB', $added <= 1 << 20, 'peak of memory_get_usage(), with OPcache');
    }
}

if ($wanted('worker')) {
    $certificates = new Certificates(Folder::make());
    [$certificate, $key] = $certificates->issue('server');
    $secure = Server::start("  tls: {cert_file: $certificate, key_file: $key}\n");
    foreach ([
        ['kept', $dsn, $server->key, 'unary call over a kept unix connection in a long-running worker, libcurl 8', 1.5, 400],
        ['kept', "tcp://127.0.0.1:$server->port", $server->key, 'the same over a kept TCP connection', 1.5, 400],
        ['new', "tls://127.0.0.1:$secure->port?ca=$certificates->ca", $secure->key, 'unary call over a new TLS connection, libcurl 8', 1.3, 100],
    ] as [$kind, $to, $secret, $what, $figure, $calls]) {
        $ratios = $ours = $floors = [];
        foreach (child($next, [__DIR__ . '/worker.php', $kind, $to, $secret, (string) (2 * $rounds + 1), (string) $calls]) as $line) {
            [$own, $floor] = \array_map('floatval', \explode(' ', $line));
            $ratios[] = $own / $floor;
            $ours[] = $own / 1e6;
            $floors[] = $floor / 1e6;
        }
        row('worker', $what, \sprintf('%.2f ×', median($ratios)), \sprintf('≤ %.2f ×', $figure), median($ratios) <= $figure,
            \sprintf('php/client %.2f ms : plain curl %.2f ms, p50; ratios %s', median($ours), median($floors), span($ratios)));
    }
}

if ($wanted('stream')) {
    foreach (['' => \PHP_BINARY, ', libcurl 8' => $next] as $which => $php) {
        $speeds = $grown = [];
        for ($round = 0; $round < $rounds; ++$round) {
            [$speed, $bytes] = \array_map('floatval', \explode(' ', child($php, [__DIR__ . '/stream.php', $dsn, $server->key, '5000'])[0]));
            $speeds[] = $speed;
            $grown[] = $bytes;
        }
        row('stream', "bidirectional stream: 5,000 texts classified$which", \sprintf('%s messages/s', \number_format(median($speeds))), '≥ 15,000 messages/s', median($speeds) >= 15000,
            \sprintf('rounds %s–%s; peak of memory %.0f KiB above that of 1,000 texts', \number_format(\min($speeds)), \number_format(\max($speeds)), median($grown) / 1024));
    }
}
