<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger\Spool;

use Psr\Log\LoggerInterface;
use Switchyard\Bundle\Messenger\Failure;
use Switchyard\Bundle\Messenger\TaskStamp;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\RpcException;
use Switchyard\Client\WellKnown\Duration;
use Switchyard\Jobs\V1\AckTaskRequest;
use Switchyard\Jobs\V1\PublishTaskRequest;
use Switchyard\Jobs\V1\RejectTaskRequest;
use Switchyard\Jobs\V1\TaskClientInterface;

/**
 * What a client's server has not taken yet: tasks to publish, and how tasks ended. All transports of the client and all processes of the machine share it.
 *
 * @internal
 */
final class Spool
{
    /** How a task ended is remembered this long: as long as it may be delivered again by a server that did not hear of it. */
    private const REMEMBER_SECONDS = 86_400;
    /** How tasks ended takes little room each; so many are kept at most. */
    private const MOST_SETTLEMENTS = 100_000;

    private readonly Folder $tasks;
    private readonly Folder $settlements;
    private readonly Folder $lost;

    public function __construct(
        string $dir,
        private readonly int $maxMessages,
        private readonly int $maxBytes,
        private readonly ?LoggerInterface $logger = null,
    ) {
        $this->tasks = new Folder($dir . '/tasks', '.task', $logger);
        $this->settlements = new Folder($dir . '/settled', '.end', $logger);
        $this->lost = new Folder($dir . '/lost', '.end', $logger);
    }

    public function setup(): void
    {
        $this->tasks->make();
        $this->settlements->make();
        $this->lost->make();
    }

    /** Messages that wait here. */
    public function count(): int
    {
        return $this->tasks->count();
    }

    /** @throws SpoolFullException|SpoolException */
    public function keepTask(PublishTaskRequest $task): void
    {
        $due = (int) (\microtime(true) * 1e3) + ($task->delay?->toMillis() ?? 0);
        $this->tasks->put($task->queue . "\0" . $task->taskId, \pack('J', $due) . $task->encode(), $this->maxMessages, $this->maxBytes);
    }

    /**
     * Publishes what waits, the oldest first, until something fails or the time is over.
     *
     * @return int how many were published
     *
     * @throws RpcException when the server does not take any now
     */
    public function forward(TaskClientInterface $client, int $most, float $seconds): int
    {
        $until = \microtime(true) + $seconds;
        $forwarded = 0;
        try {
            foreach ($this->tasks->entries($most) as $entry) {
                if ($this->publish($client, $entry)) {
                    ++$forwarded;
                }
                if (\microtime(true) > $until) {
                    break;
                }
            }
        } finally {
            if ($forwarded > 0) {
                $this->tasks->sync();
                $this->logger?->info('{count} messages that had waited on this machine were handed to the server', ['count' => $forwarded]);
            }
        }

        return $forwarded;
    }

    private function publish(TaskClientInterface $client, Entry $entry): bool
    {
        try {
            $task = PublishTaskRequest::decode(\substr($entry->content, 8));
        } catch (DecodeException $e) {
            $this->tasks->setAside($entry, 'cannot be read (' . $e->getMessage() . ')');

            return false;
        }
        $left = (int) \unpack('J', $entry->content)[1] - (int) (\microtime(true) * 1e3);
        $task = new PublishTaskRequest($task->queue, $task->taskId, $task->body, $task->headers, $left > 0 ? Duration::ofMillis($left) : null);
        try {
            $client->publishTask($task);
        } catch (RpcException $e) {
            if (Failure::passes($e)) {
                throw $e;
            }
            if ('ALREADY_EXISTS' !== $e->error->reason) { // then it is there: a retry that another worker was first to send
                $this->tasks->setAside($entry, 'is refused by the server (' . $e->getMessage() . ')');

                return false;
            }
        }
        $entry->done();

        return true;
    }

    /**
     * Remembers how a task ended, for the server that could not be told.
     *
     * @param ?string $reason null when it is done, else why it is given up
     */
    public function keepSettlement(TaskStamp $task, ?string $reason): void
    {
        $json = \json_encode(['queue' => $task->queue, 'task' => $task->taskId, 'lease' => $task->leaseId, 'reason' => $reason], \JSON_THROW_ON_ERROR | \JSON_INVALID_UTF8_SUBSTITUTE);
        $this->settlements->put(self::key($task->queue, $task->taskId), $json, self::MOST_SETTLEMENTS, \PHP_INT_MAX);
    }

    /**
     * Tells the server how tasks ended. Where a lease has ended since, the task comes again, and is ended then without being handled again.
     *
     * @throws RpcException when the server does not take any now
     */
    public function settle(TaskClientInterface $client): void
    {
        $this->lost->expire(self::REMEMBER_SECONDS);
        foreach ($this->settlements->entries() as $entry) {
            $end = \json_decode($entry->content, true, 2, \JSON_THROW_ON_ERROR);
            try {
                self::end($client, $end['queue'], $end['task'], $end['lease'], $end['reason']);
            } catch (RpcException $e) {
                if (!Failure::lostLease($e)) {
                    throw $e;
                }
                if ('LEASE_LOST' === $e->error->reason) {
                    $this->lost->put(self::key($end['queue'], $end['task']), $entry->content, self::MOST_SETTLEMENTS, \PHP_INT_MAX);
                }
            }
            $entry->done();
        }
    }

    /**
     * Ends a task that was handled before and comes again.
     *
     * @return bool false when it was not: then it is to be handled
     *
     * @throws RpcException
     */
    public function endAgain(TaskClientInterface $client, TaskStamp $task): bool
    {
        $key = self::key($task->queue, $task->taskId);
        $entry = $this->settlements->find($key) ?? $this->lost->find($key);
        if (null === $entry) {
            return false;
        }
        try {
            self::end($client, $task->queue, $task->taskId, $task->leaseId, \json_decode($entry->content, true, 2, \JSON_THROW_ON_ERROR)['reason']);
            $entry->done();
        } finally {
            $entry->release();
        }

        return true;
    }

    private static function end(TaskClientInterface $client, string $queue, string $task, string $lease, ?string $reason): void
    {
        if (null === $reason) {
            $client->ackTask(new AckTaskRequest($queue, $task, $lease));
        } else {
            $client->rejectTask(new RejectTaskRequest($queue, $task, $lease, reason: $reason));
        }
    }

    private static function key(string $queue, string $task): string
    {
        return $queue . "\0" . $task;
    }
}
