<?php

declare(strict_types=1);

/*
 * Makes the calls of test/contract from PHP. It reads one call a line from standard input and answers with one line each:
 *
 *     {"dsn": "unix:///run/s", "key": "…", "call": "package.Service/Method", "requests": [{…}]}
 *     {"messages": [{…}], "error": {"code": "NOT_FOUND", "reason": "…", "field": "…", "message": "…"}}
 *
 * Requests and messages are proto-JSON. What goes wrong in this program itself is {"broken": "…"}.
 */

use Switchyard\Client\CallOptions;
use Switchyard\Client\Connection;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Rpc\BadRequest;
use Switchyard\Client\RetryPolicy;
use Switchyard\Client\RpcException;
use Switchyard\Client\State\MemoryStore;

$autoload = require __DIR__ . '/../../autoload.php';
$autoload('Switchyard\\', __DIR__ . '/../../../../gen/php/Switchyard');
$manifest = require __DIR__ . '/../../../../gen/php/manifest.php';

set_error_handler(static function (int $level, string $message, string $file, int $line): never {
    throw new ErrorException($message, 0, $level, $file, $line); // a warning is a defect
});

/** @return Generator<string> the responses as JSON */
$run = static function (array $case) use ($manifest): Generator {
    [$service, $rpc] = explode('/', $case['call']);
    $service = $manifest['services'][$service];
    $name = lcfirst($rpc);
    $method = $service['methods'][$name] ?? current(array_filter($service['methods'], static fn (array $m): bool => $m['rpc'] === $rpc));
    $transport = Connection::open($case['dsn'], $case['key'], store: new MemoryStore(), retry: RetryPolicy::none(), breaker: false);
    $client = new $service['client']($transport);
    $options = CallOptions::timeout(20_000); // a busy machine is not what is tested
    $requests = array_map(static fn (mixed $r): object => $method['request']::fromJson(json_encode($r, JSON_THROW_ON_ERROR)), $case['requests']);
    $json = new JsonOptions(emitDefaults: true);
    if ('unary' === $method['shape']) {
        yield $client->$name($requests[0], $options)->toJson($json);

        return;
    }
    if ('server_stream' === $method['shape']) {
        foreach ($client->$name($requests[0], $options) as $response) {
            yield $response->toJson($json);
        }

        return;
    }
    $call = $client->$name($options);
    foreach ($requests as $request) {
        $call->send($request);
    }
    if ('client_stream' === $method['shape']) {
        yield $call->closeAndReceive()->toJson($json);

        return;
    }
    $call->closeSend();
    foreach ($call as $response) {
        yield $response->toJson($json);
    }
};

while (false !== $line = fgets(STDIN)) {
    $messages = [];
    $rest = '"error":null}';
    try {
        // Objects stay objects, so that an empty one is not read as a list.
        $case = (array) json_decode($line, false, 512, JSON_THROW_ON_ERROR);
        foreach ($run($case) as $message) {
            $messages[] = $message;
        }
    } catch (RpcException $e) {
        $rest = '"error":' . json_encode([
            'code' => $e->error->code->name,
            'reason' => $e->error->reason,
            'field' => $e->detail(BadRequest::class)?->fieldViolations[0]?->field ?? '',
            'message' => $e->error->message,
        ], JSON_THROW_ON_ERROR) . '}';
    } catch (Throwable $e) {
        $rest = '"broken":' . json_encode((string) $e, JSON_INVALID_UTF8_SUBSTITUTE) . '}';
    }
    fwrite(STDOUT, '{"messages":[' . implode(',', $messages) . '],' . $rest . "\n");
    fflush(STDOUT);
}
