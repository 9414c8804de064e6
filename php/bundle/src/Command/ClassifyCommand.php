<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Command;

use Switchyard\Classification\V1\ClassificationClientInterface;
use Switchyard\Classification\V1\ClassifyRecordRequest;
use Switchyard\Classification\V1\ClassifyRecordResponse;
use Switchyard\Classification\V1\ClassifyTextRequest;
use Switchyard\Classification\V1\ClassifyTextResponse;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Message\Message;
use Switchyard\Common\V1\FieldValue;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Exception\InvalidArgumentException;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Style\SymfonyStyle;

#[AsCommand(name: 'switchyard:classify', description: 'Asks which labels fit a text or a record')]
final class ClassifyCommand extends CallCommand
{
    protected function configure(): void
    {
        parent::configure();
        $this->addArgument('text', InputArgument::OPTIONAL, 'The text; "-" reads it from standard input')
            ->addOption('deployment', 'd', InputOption::VALUE_REQUIRED, 'Name of the deployment')
            ->addOption('record', 'r', InputOption::VALUE_REQUIRED, 'A record instead of a text, as JSON: {"amount": 12.5, "merchant": "Taxi", "abroad": true}');
    }

    protected function call(InputInterface $input, CallOptions $options): Message
    {
        $deployment = (string) $input->getOption('deployment');
        if ('' === $deployment) {
            throw new InvalidArgumentException('Name the deployment: --deployment=topics.');
        }
        $record = $input->getOption('record');
        if ((null === $record) === (null === $input->getArgument('text'))) {
            throw new InvalidArgumentException('Give either a text or --record.');
        }
        $client = $this->client(ClassificationClientInterface::class, $input);

        return null === $record
            ? $client->classifyText(new ClassifyTextRequest(deployment: $deployment, text: self::text($input, 'text')), $options)
            : $client->classifyRecord(new ClassifyRecordRequest(deployment: $deployment, record: self::record((string) $record)), $options);
    }

    protected function print(Message $answer, SymfonyStyle $io): void
    {
        \assert($answer instanceof ClassifyTextResponse || $answer instanceof ClassifyRecordResponse);
        DecisionTable::print($answer->decision, $io);
    }

    /** @return array<string, FieldValue> */
    private static function record(string $json): array
    {
        $fields = \json_decode($json, true, 4);
        if (!\is_array($fields) || [] === $fields || \array_is_list($fields)) {
            throw new InvalidArgumentException('--record must be a JSON object, such as {"amount": 12.5, "merchant": "Taxi"}.');
        }
        $record = [];
        foreach ($fields as $name => $value) {
            if (null === $value) {
                continue; // a missing value is left out
            }
            $record[(string) $name] = match (true) {
                \is_int($value), \is_float($value) => new FieldValue(number: (float) $value),
                \is_string($value) => new FieldValue(text: $value),
                \is_bool($value) => new FieldValue(boolean: $value),
                default => throw new InvalidArgumentException(\sprintf('--record: "%s" must be a number, a text, true or false.', $name)),
            };
        }

        return $record;
    }
}
