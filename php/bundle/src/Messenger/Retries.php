<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger;

/**
 * The failed tasks of this process whose messages have been sent again, to any queue. Messenger sends first and rejects afterwards: such a task is done, while a
 * rejected one whose message went nowhere is dead.
 *
 * @internal
 */
final class Retries
{
    /** @var array<string, true> */
    private array $sent = [];

    public function add(TaskStamp $task): void
    {
        $this->sent[self::key($task)] = true;
    }

    public function take(TaskStamp $task): bool
    {
        $key = self::key($task);
        $known = isset($this->sent[$key]);
        unset($this->sent[$key]);

        return $known;
    }

    private static function key(TaskStamp $task): string
    {
        return $task->queue . "\0" . $task->taskId . "\0" . $task->leaseId;
    }
}
