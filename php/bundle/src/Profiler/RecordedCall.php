<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Profiler;

use Switchyard\Bundle\Client\Failures;
use Switchyard\Client\Exception;
use Switchyard\Client\Message\Message;
use Switchyard\Client\ResponseMetadata;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;
use Symfony\Component\Stopwatch\StopwatchEvent;

/** @internal one call while it runs */
final class RecordedCall
{
    /** Of a stream, how many messages each way and how many decisions are kept; all are counted. */
    private const KEPT = 5;

    private readonly int $begin;

    /** @var array<string, mixed> what the panel shows: scalars and arrays only */
    private array $data;

    public function __construct(
        string $client,
        string $service,
        string $method,
        string $shape,
        private readonly Payload $payload,
        private readonly ?StopwatchEvent $event = null,
    ) {
        $this->begin = (int) \hrtime(true);
        $this->data = [
            'client' => $client,
            'service' => $service,
            'method' => $method,
            'shape' => $shape,
            'code' => null,
            'reason' => '',
            'failure' => '',
            'millis' => null,
            'attempts' => 1,
            'request_id' => '',
            'sent' => 0,
            'received' => 0,
            'requests' => [],
            'responses' => [],
            'decisions' => [],
            'outcomes' => [],
            'cost' => [],
        ];
    }

    public function sent(Message $request): void
    {
        if (++$this->data['sent'] <= self::KEPT) {
            $this->data['requests'][] = $this->payload->of($request);
        }
    }

    public function received(Message $response): void
    {
        if (++$this->data['received'] <= self::KEPT) {
            $this->data['responses'][] = $this->payload->of($response);
        }
        foreach (Decisions::in($response) as $decision) {
            if (\count($this->data['decisions']) < self::KEPT) {
                $this->data['decisions'][] = $decision;
            }
            $this->data['outcomes'][$decision['outcome']] = ($this->data['outcomes'][$decision['outcome']] ?? 0) + 1;
            if ('' !== $decision['currency']) {
                $this->data['cost'][$decision['currency']] = ($this->data['cost'][$decision['currency']] ?? 0) + $decision['micros'];
            }
        }
    }

    public function ended(StatusCode $code, ?\Throwable $failure = null, ?ResponseMetadata $response = null): void
    {
        if (null !== $this->data['code']) {
            return;
        }
        $this->data['code'] = $code->name;
        $this->data['millis'] = (\hrtime(true) - $this->begin) / 1e6;
        $this->data['attempts'] = \max(1, $response?->attempts ?? 1);
        $this->data['request_id'] = $response?->first('x-request-id') ?? '';
        $this->data['reason'] = $failure instanceof RpcException ? $failure->error->reason : '';
        $this->data['failure'] = $failure instanceof Exception ? Failures::sentence($failure) : (string) $failure?->getMessage();
        if (true === $this->event?->isStarted()) {
            $this->event->stop();
        }
    }

    /** @return array<string, mixed> */
    public function data(): array
    {
        return $this->data;
    }
}
