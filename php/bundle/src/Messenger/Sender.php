<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger;

use Psr\Log\LoggerInterface;
use Switchyard\Bundle\Messenger\Spool\Spool;
use Switchyard\Client\RpcException;
use Switchyard\Client\WellKnown\Duration;
use Switchyard\Jobs\V1\PublishTaskRequest;
use Switchyard\Jobs\V1\TaskClientInterface;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Exception\TransportException;
use Symfony\Component\Messenger\Stamp\DelayStamp;
use Symfony\Component\Messenger\Stamp\RedeliveryStamp;
use Symfony\Component\Messenger\Stamp\TransportMessageIdStamp;
use Symfony\Component\Messenger\Transport\Sender\SenderInterface;
use Symfony\Component\Messenger\Transport\Serialization\SerializerInterface;

/**
 * Publishes messages as tasks. While the server is away they are kept on this machine, and are handed over by the next message that is sent or by a worker. A message
 * whose publication was not answered is kept too: its id is the same then, so that it arrives once.
 *
 * @internal
 */
final class Sender implements SenderInterface
{
    private const MAX_BODY = 1 << 20;
    private const MAX_HEADERS = 64;
    private const MAX_HEADER_NAME = 128;
    private const MAX_HEADER_VALUE = 8192;
    private const MAX_DELAY_MILLIS = 30 * 86_400_000;
    /** What one message that is sent hands over at most of those that wait: somebody waits for the page. */
    private const FORWARD_MESSAGES = 20;
    private const FORWARD_SECONDS = 0.25;

    public function __construct(
        private readonly TaskClientInterface $client,
        private readonly Settings $settings,
        private readonly SerializerInterface $serializer,
        private readonly Spool $spool,
        private readonly Retries $retries,
        private readonly ?LoggerInterface $logger = null,
    ) {
    }

    /** @throws TransportException when the server refuses the message, or nobody can keep it */
    public function send(Envelope $envelope): Envelope
    {
        $failed = null === $envelope->last(RedeliveryStamp::class) ? null : $envelope->last(TaskStamp::class);
        $task = $this->task($envelope, $failed);
        if ($this->publish($task, null !== $failed)) {
            $this->forward();
        }
        if (null !== $failed) {
            $this->retries->add($failed);
        }

        return $envelope->with(new TransportMessageIdStamp($task->taskId));
    }

    private function task(Envelope $envelope, ?TaskStamp $failed): PublishTaskRequest
    {
        $encoded = $this->serializer->encode($envelope);
        $headers = [];
        foreach ($encoded['headers'] ?? [] as $name => $value) {
            $headers[(string) $name] = (string) $value;
        }
        self::check($encoded['body'], $headers);
        $delay = $envelope->last(DelayStamp::class)?->getDelay() ?? 0;
        if ($delay > self::MAX_DELAY_MILLIS) {
            throw new TransportException(\sprintf('The message is delayed by %d ms, limit %d (30 days).', $delay, self::MAX_DELAY_MILLIS));
        }

        return new PublishTaskRequest(
            $this->settings->queue,
            $failed?->successorId() ?? \bin2hex(\random_bytes(16)),
            $encoded['body'],
            $headers,
            $delay > 0 ? Duration::ofMillis($delay) : null,
        );
    }

    /** @param array<string, string> $headers */
    private static function check(string $body, array $headers): void
    {
        if (\strlen($body) > self::MAX_BODY) {
            throw new TransportException(\sprintf('The message has %d bytes, limit %d: send a reference to the data instead of the data.', \strlen($body), self::MAX_BODY));
        }
        if (\count($headers) > self::MAX_HEADERS) {
            throw new TransportException(\sprintf('The message has %d headers, limit %d.', \count($headers), self::MAX_HEADERS));
        }
        foreach ($headers as $name => $value) {
            if (\strlen($name) > self::MAX_HEADER_NAME || \strlen($value) > self::MAX_HEADER_VALUE) {
                throw new TransportException(\sprintf('Header "%.40s" of the message has %d bytes, limit %d.', $name, \strlen($value), self::MAX_HEADER_VALUE));
            }
        }
    }

    /** @return bool false when the message is kept here */
    private function publish(PublishTaskRequest $task, bool $retry): bool
    {
        try {
            $this->client->publishTask($task);

            return true;
        } catch (RpcException $e) {
            if ($retry && 'ALREADY_EXISTS' === $e->error->reason) {
                return true; // sent before, by a worker that did not live to end the failed task
            }
            if (!Failure::passes($e) || $this->settings->spoolMessages <= 0) {
                throw Failure::wrap('The message could not be sent', $e);
            }
            $this->spool->keepTask($task);
            $this->logger?->warning('message {id} for queue {queue} is kept on this machine until the server takes it: {message}', [
                'id' => $task->taskId, 'queue' => $task->queue, 'message' => $e->getMessage(), 'exception' => $e,
            ]);

            return false;
        }
    }

    private function forward(): void
    {
        try {
            $this->spool->forward($this->client, self::FORWARD_MESSAGES, self::FORWARD_SECONDS);
        } catch (RpcException) {
            // Away again. This message was taken, and the others wait on.
        }
    }
}
