<?php

declare(strict_types=1);

/*
 * Sends messages, as the worker of a web server does: php send.php SOCKET KEYFILE SPOOL QUEUE NAME COUNT. Prints the text of each message that was taken.
 */

namespace Switchyard\Bundle\Tests\Messenger\Support;

use Symfony\Component\Messenger\Envelope;

require __DIR__ . '/../bootstrap.php';
[, $socket, $key, $spool, $queue, $name, $count] = $argv;
$transport = Queue::transport(Queue::factory(Queue::client($socket, $key), $spool), 'queue=' . $queue);
for ($i = 0; $i < (int) $count; ++$i) {
    $transport->send(new Envelope(new Note("$name-$i")));
    echo "$name-$i\n";
    \usleep(20_000);
}
