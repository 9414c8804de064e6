<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger;

use Psr\Log\LoggerInterface;
use Switchyard\Bundle\Messenger\Spool\Spool;
use Switchyard\Client\CallOptions;
use Switchyard\Client\RpcException;
use Switchyard\Client\WellKnown\Duration;
use Switchyard\Jobs\V1\AckTaskRequest;
use Switchyard\Jobs\V1\ExtendTaskRequest;
use Switchyard\Jobs\V1\GetQueueRequest;
use Switchyard\Jobs\V1\PullTasksRequest;
use Switchyard\Jobs\V1\RejectTaskRequest;
use Switchyard\Jobs\V1\Task;
use Switchyard\Jobs\V1\TaskClientInterface;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Exception\LogicException;
use Symfony\Component\Messenger\Exception\MessageDecodingFailedException;
use Symfony\Component\Messenger\Stamp\ErrorDetailsStamp;
use Symfony\Component\Messenger\Stamp\TransportMessageIdStamp;
use Symfony\Component\Messenger\Transport\Receiver\MessageCountAwareInterface;
use Symfony\Component\Messenger\Transport\Receiver\ReceiverInterface;
use Symfony\Component\Messenger\Transport\Serialization\SerializerInterface;

/**
 * Pulls tasks under leases. A server that is away is waited for: the worker lives on, and what it has handled meanwhile is told to the server when that is back.
 *
 * @internal
 */
final class Receiver implements ReceiverInterface, MessageCountAwareInterface
{
    /** What one look hands over at most of the messages that wait on this machine. */
    private const FORWARD_MESSAGES = 500;
    private const FORWARD_SECONDS = 5.0;
    /** Time for the answer beside the wait. */
    private const ANSWER_SECONDS = 10;
    private const MOST_REASON = 1000;

    private int $failures = 0;

    /** @param \Closure(int): void $sleep waits a number of microseconds */
    public function __construct(
        private readonly TaskClientInterface $client,
        private readonly Settings $settings,
        private readonly SerializerInterface $serializer,
        private readonly Spool $spool,
        private readonly Retries $retries,
        private readonly ?LoggerInterface $logger,
        private readonly \Closure $sleep,
    ) {
    }

    /** @return iterable<Envelope> */
    public function get(): iterable
    {
        try {
            $this->spool->settle($this->client);
            $this->spool->forward($this->client, self::FORWARD_MESSAGES, self::FORWARD_SECONDS);
            $tasks = $this->client->pullTasks(
                new PullTasksRequest($this->settings->queue, $this->settings->max, Duration::ofSeconds($this->settings->lease), Duration::ofSeconds($this->settings->wait)),
                CallOptions::timeout(($this->settings->wait + self::ANSWER_SECONDS) * 1000),
            )->tasks;
            $this->failures = 0;
        } catch (RpcException $e) {
            if (!Failure::passes($e)) {
                throw Failure::wrap('No message could be received', $e);
            }
            $this->pause($e);

            return;
        }
        yield from $this->envelopes($tasks);
    }

    /**
     * @param list<Task> $tasks
     *
     * @return \Generator<int, Envelope>
     */
    private function envelopes(array $tasks): \Generator
    {
        $pulled = \microtime(true);
        try {
            while (null !== $task = \array_shift($tasks)) {
                $stamp = new TaskStamp($this->settings->queue, $task->taskId, $task->leaseId, $task->attempt);
                if (\microtime(true) - $pulled > $this->settings->lease / 2 && !$this->stillMine($stamp)) {
                    continue;
                }
                $envelope = $this->envelope($task, $stamp);
                if (null !== $envelope) {
                    yield $envelope;
                }
            }
        } finally {
            foreach ($tasks as $task) { // the worker stops: others may have them at once
                $this->giveBack($task);
            }
        }
    }

    /** The message of a task; null when there is nothing to handle. */
    private function envelope(Task $task, TaskStamp $stamp): ?Envelope
    {
        try {
            if ($this->spool->endAgain($this->client, $stamp)) {
                $this->logger?->notice('message {id} was handled before the server could be told, and is not handled again', ['id' => $task->taskId]);

                return null;
            }
            $envelope = $this->serializer->decode(['body' => $task->body, 'headers' => $task->headers]);
        } catch (RpcException $e) {
            $this->logger?->warning('message {id} was handled before; the server could not be told: {message}', ['id' => $task->taskId, 'message' => $e->getMessage()]);

            return null; // it comes again
        } catch (MessageDecodingFailedException $e) {
            // It would fail for ever. The server keeps it as dead, so that the others are not held up.
            $this->logger?->error('message {id} in queue {queue} cannot be read and is given up: {message}', ['id' => $task->taskId, 'queue' => $stamp->queue, 'message' => $e->getMessage(), 'exception' => $e]);
            $this->end($stamp, 'cannot be read: ' . $e->getMessage());

            return null;
        }

        return $envelope->with(new TransportMessageIdStamp($task->taskId), $stamp);
    }

    public function ack(Envelope $envelope): void
    {
        $this->end(self::stamp($envelope), null);
    }

    /** Messenger rejects what has failed: after it was sent again, which ends the task, or for good. */
    public function reject(Envelope $envelope): void
    {
        $stamp = self::stamp($envelope);
        $error = $envelope->last(ErrorDetailsStamp::class);
        $this->end($stamp, $this->retries->take($stamp) ? null : (null === $error ? 'rejected' : $error->getExceptionClass() . ': ' . $error->getExceptionMessage()));
    }

    public function keepalive(Envelope $envelope, ?int $seconds = null): void
    {
        $stamp = self::stamp($envelope);
        $lease = \max($this->settings->lease, 2 * ($seconds ?? 0)); // longer than the time until it is kept alive again
        try {
            $this->client->extendTask(new ExtendTaskRequest($stamp->queue, $stamp->taskId, $stamp->leaseId, Duration::ofSeconds(\min($lease, 43_200))));
        } catch (RpcException $e) {
            if (Failure::lostLease($e) || !Failure::passes($e)) {
                throw Failure::wrap('The message could not be kept alive', $e);
            }
            $this->logger?->warning('message {id} could not be kept alive: {message}', ['id' => $stamp->taskId, 'message' => $e->getMessage()]); // the next time, perhaps
        }
    }

    /** Messages that a worker could have now. */
    public function getMessageCount(): int
    {
        try {
            return $this->client->getQueue(new GetQueueRequest($this->settings->queue))->due;
        } catch (RpcException $e) {
            throw Failure::wrap('The messages could not be counted', $e);
        }
    }

    /** @param ?string $reason null when the task is done */
    private function end(TaskStamp $stamp, ?string $reason): void
    {
        $reason = null === $reason ? null : \mb_substr(\mb_scrub($reason, 'UTF-8'), 0, self::MOST_REASON, 'UTF-8');
        try {
            if (null === $reason) {
                $this->client->ackTask(new AckTaskRequest($stamp->queue, $stamp->taskId, $stamp->leaseId));
            } else {
                $this->client->rejectTask(new RejectTaskRequest($stamp->queue, $stamp->taskId, $stamp->leaseId, reason: $reason));
            }
        } catch (RpcException $e) {
            if (!Failure::lostLease($e) && !Failure::passes($e)) {
                throw Failure::wrap('The server could not be told how the message ended', $e);
            }
            // The server is away, or has given the task to others: where it comes here again, it is ended and not handled again.
            $this->spool->keepSettlement($stamp, $reason);
            $this->logger?->warning('the server could not be told how message {id} ended: {message}', ['id' => $stamp->taskId, 'message' => $e->getMessage()]);
        }
    }

    private function stillMine(TaskStamp $stamp): bool
    {
        try {
            $this->client->extendTask(new ExtendTaskRequest($stamp->queue, $stamp->taskId, $stamp->leaseId, Duration::ofSeconds($this->settings->lease)));

            return true;
        } catch (RpcException) {
            return false; // it comes again
        }
    }

    private function giveBack(Task $task): void
    {
        try {
            $this->client->rejectTask(new RejectTaskRequest($this->settings->queue, $task->taskId, $task->leaseId, requeue: true));
        } catch (RpcException) {
            // Its lease ends by itself.
        }
    }

    /** Waits longer from failure to failure, so that a worker without a pause of its own does not spin. */
    private function pause(RpcException $e): void
    {
        $this->logger?->warning('the server cannot be asked for messages, and is asked again: {message}', ['message' => $e->getMessage(), 'exception' => $e]);
        ($this->sleep)(\min(100_000 << \min($this->failures++, 5), 2_000_000));
    }

    private static function stamp(Envelope $envelope): TaskStamp
    {
        return $envelope->last(TaskStamp::class) ?? throw new LogicException('The envelope was not received from a Switchyard transport: it has no TaskStamp.');
    }
}
