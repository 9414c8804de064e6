<?php

declare(strict_types=1);

/*
 * Calls in a long-running process, of php/client and of a plain curl_exec() with a body that was encoded before, in alternating rounds. Prints
 * "ours floor" in nanoseconds per round: medians of single calls. Arguments: kept or new; DSN; key; rounds; calls a round.
 */

use Switchyard\Client\Connection;
use Switchyard\Client\State\MemoryStore;
use Switchyard\Moderation\V1\ModerationClient;

require __DIR__ . '/common.php';
[, $kind, $dsn, $key, $rounds, $calls] = $argv;
$floor = null;
$client = null;
$sides = [
    static function () use (&$client, $kind, $dsn, $key): void {
        if (null === $client || 'new' === $kind) {
            $client = new ModerationClient(Connection::open($dsn, $key, store: new MemoryStore()));
        }
        $client->moderateText(request());
    },
    static function () use (&$floor, $kind, $dsn, $key): void {
        if (null === $floor || 'new' === $kind) {
            $floor = floor_handle($dsn, $key);
        }
        floor_call($floor);
    },
];
foreach ($sides as $side) {
    for ($i = 0; $i < 20; ++$i) {
        $side();
    }
}
for ($round = 0; $round < (int) $rounds; ++$round) {
    $medians = [];
    foreach ($sides as $side) {
        $times = [];
        for ($i = 0; $i < (int) $calls; ++$i) {
            $begin = \hrtime(true);
            $side();
            $times[] = \hrtime(true) - $begin;
        }
        \sort($times);
        $medians[] = $times[\intdiv(\count($times), 2)];
    }
    echo \implode(' ', $medians), "\n";
}
