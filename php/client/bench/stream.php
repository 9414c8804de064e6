<?php

declare(strict_types=1);

/*
 * One bidirectional stream: so many texts classified, answers read while texts are sent. Prints "messages/second, bytes of memory
 * that five times as many messages need more". Arguments: DSN, key, messages.
 */

use Switchyard\Classification\V1\ClassificationClient;
use Switchyard\Classification\V1\StreamClassifyTextRequest;
use Switchyard\Classification\V1\TextItem;
use Switchyard\Client\Connection;

require __DIR__ . '/common.php';
[, $dsn, $key, $messages] = $argv;
$messages = (int) $messages;
$client = new ClassificationClient(Connection::open($dsn, $key));
$texts = ['how do I freeze my card', 'the transfer has not arrived yet', 'why was I charged twice for the same payment', 'I cannot log in since this morning', 'which currencies do you support'];

$run = static function (int $messages) use ($client, $texts): array {
    $call = $client->streamClassifyText();
    $begin = \hrtime(true);
    $answered = 0;
    \memory_reset_peak_usage();
    for ($sent = 0; $sent < $messages; ++$sent) {
        $call->send(new StreamClassifyTextRequest(deployment: 0 === $sent ? 'topics' : '', item: new TextItem(text: $texts[$sent % 5])));
        while (null !== $answer = $call->receive(0)) {
            if (null !== $answer->result?->error) {
                throw new \RuntimeException('item was refused: ' . \json_encode($answer));
            }
            ++$answered;
        }
    }
    $call->closeSend();
    foreach ($call as $answer) {
        ++$answered;
    }
    if ($answered !== $messages) {
        throw new \RuntimeException("$answered answers to $messages messages");
    }

    return [$messages / ((\hrtime(true) - $begin) / 1e9), \memory_get_peak_usage()];
};
$run(500);
[, $few] = $run(\intdiv($messages, 5));
[$speed, $all] = $run($messages);
\printf("%.0f %d\n", $speed, \max(0, $all - $few));
