<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Command;

use Switchyard\Bundle\Client\Clients;
use Switchyard\Bundle\Client\Failures;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Exception;
use Switchyard\Client\Message\Message;
use Switchyard\Client\RpcException;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Exception\InvalidArgumentException;
use Symfony\Component\Console\Formatter\OutputFormatter;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Output\ConsoleOutputInterface;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Console\Style\SymfonyStyle;

/**
 * A command that makes one call and prints its answer, as a table or with --json as the contract's JSON. Exit code 0 for an answer, 1 for a call that failed, 2
 * for a command that makes no sense.
 */
abstract class CallCommand extends Command
{
    private const MAX_INPUT = 8 << 20;

    public function __construct(private readonly Clients $clients)
    {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this->addOption('client', null, InputOption::VALUE_REQUIRED, 'Name of the client in the configuration; without it the default client')
            ->addOption('timeout', null, InputOption::VALUE_REQUIRED, 'Deadline in milliseconds; without it that of the client')
            ->addOption('json', null, InputOption::VALUE_NONE, 'Print the answer as JSON');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        try {
            $answer = $this->call($input, self::options($input));
        } catch (InvalidArgumentException $e) {
            self::error($output, $e->getMessage());

            return self::INVALID;
        } catch (Exception $e) {
            $this->failed($e, $input, $output);

            return self::FAILURE;
        }
        if ($input->getOption('json')) {
            $output->writeln((string) \json_encode(\json_decode($answer->toJson(), false), \JSON_PRETTY_PRINT | \JSON_UNESCAPED_UNICODE | \JSON_UNESCAPED_SLASHES), OutputInterface::OUTPUT_RAW);
        } else {
            $this->print($answer, new SymfonyStyle($input, $output));
        }

        return self::SUCCESS;
    }

    /**
     * Makes the call.
     *
     * @throws Exception                when it fails
     * @throws InvalidArgumentException when the input makes no sense
     */
    abstract protected function call(InputInterface $input, CallOptions $options): Message;

    /** Prints the answer for people. */
    abstract protected function print(Message $answer, SymfonyStyle $io): void;

    /**
     * @template T of object
     *
     * @param class-string<T> $interface
     *
     * @return T
     */
    protected function client(string $interface, InputInterface $input): object
    {
        return $this->clients->get($interface, $input->getOption('client'));
    }

    /** The argument; standard input when it is "-". */
    protected static function text(InputInterface $input, string $argument): string
    {
        $text = (string) $input->getArgument($argument);
        if ('-' === $text) {
            $text = (string) \stream_get_contents(\STDIN, self::MAX_INPUT);
        }
        if ('' === \trim($text)) {
            throw new InvalidArgumentException('There is no text: give it as an argument, or "-" to read it from standard input.');
        }

        return $text;
    }

    private static function options(InputInterface $input): CallOptions
    {
        $timeout = $input->getOption('timeout');
        if (null === $timeout) {
            return CallOptions::standard();
        }
        if (1 !== \preg_match('/^[1-9][0-9]{0,8}$/D', (string) $timeout)) {
            throw new InvalidArgumentException(\sprintf('--timeout is "%s", but must be a number of milliseconds.', $timeout));
        }

        return CallOptions::timeout((int) $timeout);
    }

    private function failed(Exception $failure, InputInterface $input, OutputInterface $output): void
    {
        if (!$input->getOption('json')) {
            self::error($output, Failures::sentence($failure));

            return;
        }
        $error = ['message' => $failure->getMessage()];
        if ($failure instanceof RpcException) {
            $error = ['code' => $failure->error->code->name, 'reason' => $failure->error->reason, 'message' => $failure->getMessage(), 'metadata' => (object) $failure->error->metadata];
        }
        $output->writeln((string) \json_encode(['error' => $error], \JSON_PRETTY_PRINT | \JSON_UNESCAPED_UNICODE | \JSON_UNESCAPED_SLASHES), OutputInterface::OUTPUT_RAW);
    }

    private static function error(OutputInterface $output, string $message): void
    {
        $errors = $output instanceof ConsoleOutputInterface ? $output->getErrorOutput() : $output;
        $errors->writeln('<error>' . OutputFormatter::escape($message) . '</error>');
    }
}
