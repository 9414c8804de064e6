<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Command;

use Switchyard\Bundle\Moderation\LaterQueue;
use Switchyard\Bundle\Moderation\OnUnavailable;
use Switchyard\Client\Doctor;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/** What the client's doctor says of PHP, libcurl and each server, and what the bundle adds. Exit code 1 when something is missing. */
#[AsCommand(name: 'switchyard:doctor', description: 'Checks PHP, libcurl, the servers and the bundle\'s configuration')]
final class DoctorCommand extends Command
{
    /** @param array<string, ?string> $dsns by name of the client */
    public function __construct(
        private readonly array $dsns,
        private readonly OnUnavailable $onUnavailable,
        private readonly bool $fake,
        private readonly ?LaterQueue $later = null,
    ) {
        parent::__construct();
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $healthy = true;
        if ($this->fake) {
            $output->writeln('ok     clients      are fakes (switchyard.fake): no server is called');
        }
        foreach ($this->fake ? [] : $this->dsns as $name => $dsn) {
            $output->writeln(\sprintf('<info>client %s</info>', $name));
            if ('' === (string) $dsn) {
                $healthy = $this->say($output, false, 'dsn', 'is empty; is SWITCHYARD_DSN set?') && $healthy;
                continue;
            }
            $doctor = Doctor::examine((string) $dsn);
            $output->write((string) $doctor, false, OutputInterface::OUTPUT_RAW);
            $healthy = $doctor->healthy() && $healthy;
        }
        $output->writeln('<info>bundle</info>');
        $queue = OnUnavailable::QUEUE === $this->onUnavailable;
        $healthy = match (true) {
            null === $this->later => $this->say($output, !$queue, 'queue', 'not possible: symfony/messenger is not installed'),
            !$this->later->routed => $this->say($output, !$queue, 'queue', 'not possible: ModerateLater is routed to no transport (switchyard.messenger.transport)'),
            default => $this->say($output, true, 'queue', 'texts without an answer are kept by Messenger'),
        } && $healthy;
        $this->say($output, true, 'unavailable', \sprintf('without an answer: %s', $this->onUnavailable->value));

        return $healthy ? self::SUCCESS : self::FAILURE;
    }

    private function say(OutputInterface $output, bool $good, string $what, string $text): bool
    {
        $output->writeln(\sprintf('%-6s %-12s %s', $good ? 'ok' : 'FAILED', $what, $text), OutputInterface::OUTPUT_RAW);

        return $good;
    }
}
