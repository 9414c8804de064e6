<?php

declare(strict_types=1);

// Prints one line "name nanoseconds" per operation on a ModerateText request and response: the best of
// nine runs in CPU time, which other processes disturb least. Arguments: the directory of the runtime,
// then the directory of the code generated from the product's contracts.

[, $runtime, $generated] = $argv;
\spl_autoload_register(static function (string $class) use ($runtime, $generated): void {
    require \str_starts_with($class, 'Switchyard\Client\\')
        ? $runtime . '/' . \strtr(\substr($class, 18), '\\', '/') . '.php'
        : $generated . '/' . \strtr($class, '\\', '/') . '.php';
});

use Switchyard\Common\V1\Decision;
use Switchyard\Common\V1\LabelProbability;
use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerateTextResponse;

function cpu(): float
{
    $u = \getrusage();

    return 1e9 * ($u['ru_utime.tv_sec'] + $u['ru_stime.tv_sec']) + 1e3 * ($u['ru_utime.tv_usec'] + $u['ru_stime.tv_usec']);
}

function measure(string $name, callable $do): void
{
    $best = \INF;
    for ($run = 0; $run < 9; ++$run) {
        $started = cpu();
        for ($i = 0; $i < 5000; ++$i) {
            $do();
        }
        $best = \min($best, (cpu() - $started) / 5000);
    }
    \printf("%s %.0f\n", $name, $best);
}

$memory = \memory_get_usage();
$request = new ModerateTextRequest(deployment: 'comments', text: 'You are all idiots and I hope this site closes soon.', locale: 'en', authorId: 'u-123456', contentId: 'c-99887766');
$response = new ModerateTextResponse(decision: new Decision(
    decisionId: '0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42',
    project: 'demo',
    deployment: 'comments',
    time: new DateTimeImmutable('2026-01-02T03:04:05.678901Z'),
    labels: [new LabelProbability(label: 'insult', probability: 0.97), new LabelProbability(label: 'threat', probability: 0.02)],
    chosenLabels: ['insult'],
    policyDigest: \str_repeat('b', 64),
));
[$requestBytes, $responseBytes] = [$request->encode(), $response->encode()];
ModerateTextResponse::decode($responseBytes);
$memory = \memory_get_usage() - $memory;
measure('request-encode-ns', static fn () => $request->encode());
measure('request-decode-ns', static fn () => ModerateTextRequest::decode($requestBytes));
measure('response-encode-ns', static fn () => $response->encode());
measure('response-decode-ns', static fn () => ModerateTextResponse::decode($responseBytes));
measure('request-json-ns', static fn () => $request->toJson());
\printf("loaded-bytes %d\n", $memory);
