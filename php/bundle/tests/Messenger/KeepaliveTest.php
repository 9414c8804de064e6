<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Messenger;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Messenger\KeepaliveTransport;
use Switchyard\Bundle\Tests\Messenger\Support\Note;
use Switchyard\Bundle\Tests\Messenger\Support\Queue;
use Switchyard\Client\Tests\Support\Folder;
use Switchyard\Client\Tests\Support\Server;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Exception\TransportException;
use Symfony\Component\Messenger\Transport\Receiver\KeepaliveReceiverInterface;

/**
 * Where Messenger is older than 7.2, with an interface of the same shape.
 *
 * @runTestsInSeparateProcesses
 *
 * @preserveGlobalState disabled
 */
final class KeepaliveTest extends TestCase
{
    public function testAMessageThatIsKeptAliveIsNotDeliveredAgain(): void
    {
        require_once __DIR__ . '/bootstrap.php';
        if (!\interface_exists(KeepaliveReceiverInterface::class)) {
            require __DIR__ . '/Support/keepalive.php';
        }
        $server = Server::start();
        $transport = Queue::transport(Queue::factory(Queue::client($server->socket, $server->key), Folder::make()), 'lease=1&wait=0');
        self::assertInstanceOf(KeepaliveTransport::class, $transport);
        $transport->send(new Envelope(new Note('takes long')));
        [$envelope] = Queue::take($transport);
        for ($i = 0; $i < 4; ++$i) {
            \usleep(500_000);
            $transport->keepalive($envelope);
            self::assertSame([], Queue::take($transport));
        }
        $transport->ack($envelope);
        self::assertSame(0, $transport->getMessageCount());
        $this->expectException(TransportException::class);
        $this->expectExceptionMessage('LEASE_LOST');
        $transport->keepalive($envelope, 5);
    }
}
