<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Profiler;

use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\DataCollector\DataCollector;
use Symfony\Component\HttpKernel\DataCollector\LateDataCollectorInterface;

/** What the panel and the toolbar show. Collected late, when streams have ended too. */
final class SwitchyardDataCollector extends DataCollector implements LateDataCollectorInterface
{
    public function __construct(private readonly ?CallRecorder $recorder = null, private readonly ?string $decisionUrl = null, private readonly string $defaultClient = 'default')
    {
        $this->reset();
    }

    public function collect(Request $request, Response $response, ?\Throwable $exception = null): void
    {
        $this->data['traceparent'] = (string) $request->headers->get('traceparent');
    }

    public function lateCollect(): void
    {
        foreach ($this->recorder?->calls() ?? [] as $call) {
            $call = $call->data();
            foreach ($call['decisions'] as &$decision) {
                $decision['url'] = null === $this->decisionUrl ? '' : \str_replace('{id}', \rawurlencode($decision['id']), $this->decisionUrl);
                $decision['command'] = 'switchyard:explain ' . $decision['id'] . ($call['client'] === $this->defaultClient ? '' : ' --client=' . $call['client']);
            }
            unset($decision);
            $this->data['calls'][] = $call;
            $this->data['millis'] += $call['millis'] ?? 0;
            $this->data['failures'] += \in_array($call['code'], [null, 'OK', 'CANCELLED'], true) ? 0 : 1;
            $this->data['retries'] += $call['attempts'] - 1;
            foreach ($call['outcomes'] as $outcome => $count) {
                $this->data['outcomes'][$outcome] = ($this->data['outcomes'][$outcome] ?? 0) + $count;
            }
            foreach ($call['cost'] as $currency => $micros) {
                $this->data['cost'][$currency] = ($this->data['cost'][$currency] ?? 0) + $micros;
            }
        }
        $this->data['omitted'] = $this->recorder?->omitted() ?? 0;
    }

    public function getName(): string
    {
        return 'switchyard';
    }

    public function reset(): void
    {
        $this->data = ['traceparent' => '', 'calls' => [], 'omitted' => 0, 'millis' => 0.0, 'failures' => 0, 'retries' => 0, 'outcomes' => [], 'cost' => []];
    }

    /** @return list<array<string, mixed>> */
    public function getCalls(): array
    {
        return $this->data['calls'];
    }

    public function getCount(): int
    {
        return \count($this->data['calls']) + $this->data['omitted'];
    }

    public function getOmitted(): int
    {
        return $this->data['omitted'];
    }

    public function getMillis(): float
    {
        return $this->data['millis'];
    }

    public function getFailures(): int
    {
        return $this->data['failures'];
    }

    public function getRetries(): int
    {
        return $this->data['retries'];
    }

    /** @return array<string, int> how many decisions by outcome */
    public function getOutcomes(): array
    {
        return $this->data['outcomes'];
    }

    /** @return array<string, float> by currency */
    public function getCost(): array
    {
        return \array_map(static fn (int $micros): float => $micros / 1e6, $this->data['cost']);
    }

    public function getTraceparent(): string
    {
        return $this->data['traceparent'];
    }
}
