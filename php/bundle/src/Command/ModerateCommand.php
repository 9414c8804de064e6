<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Command;

use Switchyard\Bundle\Client\Clients;
use Switchyard\Bundle\Client\DecisionText;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Message\Message;
use Switchyard\Moderation\V1\ModerateTextRequest;
use Switchyard\Moderation\V1\ModerateTextResponse;
use Switchyard\Moderation\V1\ModerationClientInterface;
use Switchyard\Moderation\V1\RuleMatch;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Style\SymfonyStyle;

#[AsCommand(name: 'switchyard:moderate', description: 'Asks whether a text may stand')]
final class ModerateCommand extends CallCommand
{
    public function __construct(Clients $clients, private readonly string $deployment)
    {
        parent::__construct($clients);
    }

    protected function configure(): void
    {
        parent::configure();
        $this->addArgument('text', InputArgument::REQUIRED, 'The text; "-" reads it from standard input')
            ->addOption('deployment', 'd', InputOption::VALUE_REQUIRED, 'Name of the deployment', $this->deployment)
            ->addOption('title', null, InputOption::VALUE_REQUIRED, 'Title, judged together with the text', '')
            ->addOption('locale', null, InputOption::VALUE_REQUIRED, 'BCP 47 tag of the language, such as de-AT', '');
    }

    protected function call(InputInterface $input, CallOptions $options): Message
    {
        return $this->client(ModerationClientInterface::class, $input)->moderateText(new ModerateTextRequest(
            deployment: (string) $input->getOption('deployment'),
            text: self::text($input, 'text'),
            title: (string) $input->getOption('title'),
            locale: (string) $input->getOption('locale'),
        ), $options);
    }

    protected function print(Message $answer, SymfonyStyle $io): void
    {
        \assert($answer instanceof ModerateTextResponse);
        $rules = \array_map(static fn (RuleMatch $match): string => \sprintf('%s (%s)', $match->ruleId, $match->category), $answer->ruleMatches);
        DecisionTable::print($answer->decision, $io, [
            'Action' => \ucfirst(DecisionText::word($answer->action)),
            'Rules' => \implode(', ', \array_unique($rules)),
        ]);
    }
}
