<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Messenger\Support;

use Switchyard\Client\CallOptions;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;
use Switchyard\Jobs\V1\AckTaskRequest;
use Switchyard\Jobs\V1\AckTaskResponse;
use Switchyard\Jobs\V1\DeleteDeadTaskRequest;
use Switchyard\Jobs\V1\DeleteDeadTaskResponse;
use Switchyard\Jobs\V1\ExtendTaskRequest;
use Switchyard\Jobs\V1\ExtendTaskResponse;
use Switchyard\Jobs\V1\GetQueueRequest;
use Switchyard\Jobs\V1\GetQueueResponse;
use Switchyard\Jobs\V1\ListDeadTasksRequest;
use Switchyard\Jobs\V1\ListDeadTasksResponse;
use Switchyard\Jobs\V1\PublishTaskRequest;
use Switchyard\Jobs\V1\PublishTaskResponse;
use Switchyard\Jobs\V1\PullTasksRequest;
use Switchyard\Jobs\V1\PullTasksResponse;
use Switchyard\Jobs\V1\RejectTaskRequest;
use Switchyard\Jobs\V1\RejectTaskResponse;
use Switchyard\Jobs\V1\RetryDeadTaskRequest;
use Switchyard\Jobs\V1\RetryDeadTaskResponse;
use Switchyard\Jobs\V1\TaskClientInterface;

/** A real connection that breaks when the test says so: before the server hears of a call, or after it has answered. */
final class Failing implements TaskClientInterface
{
    /** Nothing reaches the server. */
    public bool $away = false;
    /** The server does what it is told, and its answers are lost. */
    public bool $deaf = false;

    public function __construct(private readonly TaskClientInterface $client)
    {
    }

    public function publishTask(PublishTaskRequest $request, ?CallOptions $options = null): PublishTaskResponse
    {
        return $this->call(fn () => $this->client->publishTask($request, $options));
    }

    public function pullTasks(PullTasksRequest $request, ?CallOptions $options = null): PullTasksResponse
    {
        return $this->call(fn () => $this->client->pullTasks($request, $options));
    }

    public function ackTask(AckTaskRequest $request, ?CallOptions $options = null): AckTaskResponse
    {
        return $this->call(fn () => $this->client->ackTask($request, $options));
    }

    public function rejectTask(RejectTaskRequest $request, ?CallOptions $options = null): RejectTaskResponse
    {
        return $this->call(fn () => $this->client->rejectTask($request, $options));
    }

    public function extendTask(ExtendTaskRequest $request, ?CallOptions $options = null): ExtendTaskResponse
    {
        return $this->call(fn () => $this->client->extendTask($request, $options));
    }

    public function getQueue(GetQueueRequest $request, ?CallOptions $options = null): GetQueueResponse
    {
        return $this->call(fn () => $this->client->getQueue($request, $options));
    }

    public function listDeadTasks(ListDeadTasksRequest $request, ?CallOptions $options = null): ListDeadTasksResponse
    {
        return $this->call(fn () => $this->client->listDeadTasks($request, $options));
    }

    public function retryDeadTask(RetryDeadTaskRequest $request, ?CallOptions $options = null): RetryDeadTaskResponse
    {
        return $this->call(fn () => $this->client->retryDeadTask($request, $options));
    }

    public function deleteDeadTask(DeleteDeadTaskRequest $request, ?CallOptions $options = null): DeleteDeadTaskResponse
    {
        return $this->call(fn () => $this->client->deleteDeadTask($request, $options));
    }

    /**
     * @template T
     *
     * @param \Closure(): T $call
     *
     * @return T
     */
    private function call(\Closure $call): mixed
    {
        if (!$this->away) {
            $answer = $call();
            if (!$this->deaf) {
                return $answer;
            }
        }
        throw new RpcException(new RpcError(StatusCode::UNAVAILABLE, 'the connection was lost'));
    }
}
