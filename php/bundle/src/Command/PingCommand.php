<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Command;

use Switchyard\Bundle\Client\Clients;
use Switchyard\Bundle\Client\Failures;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Exception;
use Switchyard\Client\RetryPolicy;
use Switchyard\Identity\V1\GetCallerRequest;
use Switchyard\Identity\V1\IdentityClientInterface;
use Switchyard\Identity\V1\Key;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Formatter\OutputFormatter;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Console\Style\SymfonyStyle;

/** Calls each server with its key. Exit code 1 when one of them does not answer, so that it serves as a check before a deployment. */
#[AsCommand(name: 'switchyard:ping', description: 'Calls the configured servers and says who answers, as whom, and how fast')]
final class PingCommand extends Command
{
    private const TIMEOUT = 2_000;

    public function __construct(private readonly Clients $clients)
    {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this->addOption('client', null, InputOption::VALUE_REQUIRED, 'Only this client')
            ->addOption('count', 'c', InputOption::VALUE_REQUIRED, 'How many calls each, 1 to 1000', '3')
            ->addOption('json', null, InputOption::VALUE_NONE, 'Print JSON');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $io = new SymfonyStyle($input, $output);
        $count = \filter_var($input->getOption('count'), \FILTER_VALIDATE_INT, ['options' => ['min_range' => 1, 'max_range' => 1000]]);
        $only = $input->getOption('client');
        if (false === $count || null !== $only && !\in_array($only, $this->clients->names, true)) {
            $io->getErrorStyle()->error(false === $count ? '--count must be 1 to 1000.' : \sprintf('There is no client "%s"; configured are: %s.', $only, \implode(', ', $this->clients->names)));

            return self::INVALID;
        }
        $results = [];
        foreach (null === $only ? $this->clients->names : [$only] as $name) {
            $results[$name] = $this->ping($name, $count);
        }
        if ($input->getOption('json')) {
            $output->writeln((string) \json_encode($results, \JSON_PRETTY_PRINT | \JSON_UNESCAPED_UNICODE | \JSON_UNESCAPED_SLASHES), OutputInterface::OUTPUT_RAW);
        } else {
            $this->print($results, $io);
        }

        return [] === \array_filter($results, static fn (array $result): bool => !$result['ok']) ? self::SUCCESS : self::FAILURE;
    }

    /** @return array{ok: bool, millis: list<float>, failure: string, project: string, key: string, name: string, scopes: list<string>} */
    private function ping(string $name, int $count): array
    {
        $millis = [];
        $key = new Key();
        try {
            $client = $this->clients->get(IdentityClientInterface::class, $name);
            for ($i = 0; $i < $count; ++$i) {
                $begin = (int) \hrtime(true);
                $key = $client->getCaller(new GetCallerRequest(), CallOptions::timeout(self::TIMEOUT)->withRetry(RetryPolicy::none()))->key ?? $key;
                $millis[] = \round((\hrtime(true) - $begin) / 1e6, 3);
            }
            $failure = '';
        } catch (Exception $e) {
            $failure = Failures::sentence($e);
        }

        return ['ok' => '' === $failure, 'millis' => $millis, 'failure' => $failure, 'project' => $key->project, 'key' => $key->keyId, 'name' => $key->name, 'scopes' => $key->scopes];
    }

    /** @param array<string, array{ok: bool, millis: list<float>, failure: string, project: string, key: string, name: string, scopes: list<string>}> $results */
    private function print(array $results, SymfonyStyle $io): void
    {
        foreach ($results as $name => $result) {
            if (!$result['ok']) {
                $io->getErrorStyle()->writeln(\sprintf('<error>%s</error>: %s', $name, OutputFormatter::escape($result['failure'])));
                continue;
            }
            $sorted = $result['millis'];
            \sort($sorted);
            $io->writeln(\sprintf(
                '<info>%s</info>: answers in %.2f ms (fastest %.2f, slowest %.2f, %d calls) as key %s "%s" of project %s, scopes: %s',
                $name,
                $sorted[\intdiv(\count($sorted), 2)],
                $sorted[0],
                $sorted[\count($sorted) - 1],
                \count($sorted),
                OutputFormatter::escape($result['key']),
                OutputFormatter::escape($result['name']),
                OutputFormatter::escape($result['project']),
                OutputFormatter::escape(\implode(' ', $result['scopes'])),
            ));
        }
    }
}
