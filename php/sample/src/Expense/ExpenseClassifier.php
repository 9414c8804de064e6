<?php

declare(strict_types=1);

namespace App\Expense;

use Switchyard\Classification\V1\ClassificationClientInterface;
use Switchyard\Classification\V1\StreamClassifyTextRequest;
use Switchyard\Classification\V1\StreamClassifyTextResponse;
use Switchyard\Classification\V1\TextItem;
use Switchyard\Client\CallOptions;
use Switchyard\Client\RpcException;

/** Labels expenses over one bidirectional stream: answers come while later lines are still on their way. */
final class ExpenseClassifier
{
    /** The starter model for texts; a model that was trained on your own statements has another name. */
    private const DEPLOYMENT = 'topics';

    /** A web page waits for it. */
    private const TIMEOUT_MILLIS = 10_000;

    public function __construct(private readonly ClassificationClientInterface $classification)
    {
    }

    /**
     * @param list<Expense> $expenses
     *
     * @return \Generator<int, Label> by number of the expense, in the order of the answers
     *
     * @throws RpcException when the stream ends early; what was yielded before stays true
     */
    public function classify(array $expenses): \Generator
    {
        $call = $this->classification->streamClassifyText(CallOptions::timeout(self::TIMEOUT_MILLIS));
        foreach ($expenses as $number => $expense) {
            $call->send(new StreamClassifyTextRequest(deployment: 0 === $number ? self::DEPLOYMENT : '', item: new TextItem(text: $expense->description)));
            while (null !== $response = $call->receive(0.0)) {
                yield from self::label($response);
            }
        }
        $call->closeSend();
        foreach ($call as $response) {
            yield from self::label($response);
        }
    }

    /** @return iterable<int, Label> */
    private static function label(StreamClassifyTextResponse $response): iterable
    {
        yield (int) $response->index => Label::of($response->result?->decision);
    }
}
