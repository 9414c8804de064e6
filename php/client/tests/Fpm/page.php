<?php

declare(strict_types=1);

/* The page that FpmTest asks PHP-FPM for: one call, and what came of it. */

use Switchyard\Client\CallOptions;
use Switchyard\Client\Connection;
use Switchyard\Client\RpcException;
use Switchyard\Client\State\FileStore;
use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerationClient;

$autoload = require __DIR__ . '/../../autoload.php';
$autoload('Switchyard\\', __DIR__ . '/../../../../gen/php/Switchyard');
$begin = hrtime(true);
try {
    $transport = Connection::open($_SERVER['DSN'], $_SERVER['KEY'], store: new FileStore($_SERVER['STATE']));
    $answer = (new ModerationClient($transport))->moderateText(new ModerateTextRequest(deployment: 'comments', text: 'hello'), CallOptions::timeout(500));
    $said = 'answered ' . $answer->action->name;
} catch (RpcException $e) {
    $said = 'failed ' . $e->error->code->name . ' ' . $e::class;
}
echo $said, ' ', (int) ((hrtime(true) - $begin) / 1e6), ' ms';
