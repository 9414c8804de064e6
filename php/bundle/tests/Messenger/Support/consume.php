<?php

declare(strict_types=1);

/*
 * Consumes messages as messenger:consume does: php consume.php SOCKET KEYFILE SPOOL QUEUE FILE. Appends the text of each message that was handled to the file. Every
 * seventh message fails the first time and is tried again. Ends when the file STOP exists.
 */

namespace Switchyard\Bundle\Tests\Messenger\Support;

use Psr\Container\ContainerInterface;
use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\Messenger\Event\WorkerRunningEvent;
use Symfony\Component\Messenger\EventListener\SendFailedMessageForRetryListener;
use Symfony\Component\Messenger\Handler\HandlersLocator;
use Symfony\Component\Messenger\MessageBus;
use Symfony\Component\Messenger\Middleware\HandleMessageMiddleware;
use Symfony\Component\Messenger\Retry\MultiplierRetryStrategy;
use Symfony\Component\Messenger\Worker;

require __DIR__ . '/../bootstrap.php';
[, $socket, $key, $spool, $queue, $file] = $argv;
$transport = Queue::transport(Queue::factory(Queue::client($socket, $key), $spool, new class extends \Psr\Log\AbstractLogger {
    /** @param mixed[] $context */
    public function log($level, $message, array $context = []): void
    {
        unset($context['exception']);
        \fwrite(\STDERR, $level . ' ' . $message . ' ' . \json_encode($context) . "\n");
    }
}), 'lease=5&wait=1&max=3&queue=' . $queue);
$handle = static function (Note $note) use ($file): void {
    $number = (int) \explode('-', $note->text)[1];
    $tried = $file . '.' . \md5($note->text);
    if (0 === $number % 7 && !\file_exists($tried)) {
        \touch($tried);
        throw new \RuntimeException('the first time');
    }
    \file_put_contents($file, $note->text . "\n", \FILE_APPEND | \LOCK_EX);
    \usleep(5_000);
};
$only = static fn (object $service): ContainerInterface => new class($service) implements ContainerInterface {
    public function __construct(private readonly object $service)
    {
    }

    public function get(string $id): object
    {
        return $this->service;
    }

    public function has(string $id): bool
    {
        return true;
    }
};
$events = new EventDispatcher();
$events->addSubscriber(new SendFailedMessageForRetryListener($only($transport), $only(new MultiplierRetryStrategy(3, 200))));
$events->addListener(WorkerRunningEvent::class, static function (WorkerRunningEvent $event) use ($file): void {
    if (\file_exists($file . '.stop')) {
        $event->getWorker()->stop();
    }
});
$bus = new MessageBus([new HandleMessageMiddleware(new HandlersLocator([Note::class => [$handle]]))]);
(new Worker(['async' => $transport], $bus, $events))->run(['sleep' => 100_000]);
