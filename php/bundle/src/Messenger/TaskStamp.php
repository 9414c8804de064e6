<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger;

use Symfony\Component\Messenger\Stamp\NonSendableStampInterface;

/** The task that a received message came in, and the lease under which this worker has it. */
final class TaskStamp implements NonSendableStampInterface
{
    /**
     * @param int $attempt how often the task has been delivered, this time included
     */
    public function __construct(
        public readonly string $queue,
        public readonly string $taskId,
        public readonly string $leaseId,
        public readonly int $attempt = 1,
    ) {
    }

    /**
     * The id of the task in which a message is tried again. It is always the same for the same failure of the same task: a worker that dies between sending
     * a retry and ending the failed task makes no second retry when the task comes back.
     */
    public function successorId(): string
    {
        [$root, $number] = 1 === \preg_match('/^(.+)~(\d{1,9})$/sD', $this->taskId, $m) ? [$m[1], (int) $m[2] + 1] : [$this->taskId, 1];
        if (\strlen($root) > 96) {
            $root = \hash('sha256', $root);
        }

        return $root . '~' . $number;
    }
}
