<?php

declare(strict_types=1);

namespace App\Contact;

use Switchyard\Common\V1\Outcome;
use Switchyard\Routing\V1\Priority;
use Switchyard\Routing\V1\RouteInquiryResponse;

/** Where an inquiry goes. */
final class Route
{
    /**
     * @param string      $queue       empty when a person has to find one
     * @param string      $priority    "low", "normal", "high" or "urgent"
     * @param float       $probability of the queue, 0 to 1
     * @param bool        $isCertain   whether it may go there without a person looking first
     * @param list<array{queue: string, probability: float}> $others what else it may be
     * @param string      $decisionId  empty when Switchyard gave no answer
     */
    private function __construct(
        public readonly string $queue,
        public readonly string $priority,
        public readonly float $probability,
        public readonly bool $isCertain,
        public readonly array $others,
        public readonly string $decisionId,
    ) {
    }

    public static function of(RouteInquiryResponse $response): self
    {
        $probabilities = [];
        foreach ($response->alternatives as $alternative) {
            $probabilities[$alternative->queue] = $alternative->probability;
        }
        $queue = $response->outOfScope ? '' : $response->queue;

        return new self(
            $queue,
            $response->priority instanceof Priority ? \strtolower($response->priority->name) : 'normal',
            $probabilities[$queue] ?? 0.0,
            '' !== $queue && Outcome::AUTOMATED === $response->decision?->outcome,
            \array_map(
                static fn (string $name): array => ['queue' => $name, 'probability' => $probabilities[$name]],
                \array_values(\array_diff(\array_keys($probabilities), [$queue])),
            ),
            $response->decision?->decisionId ?? '',
        );
    }

    /** A person has to sort it. */
    public static function unsorted(): self
    {
        return new self('', 'normal', 0.0, false, [], '');
    }
}
