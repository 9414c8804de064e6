<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Command;

use Switchyard\Bundle\Client\DecisionText;
use Switchyard\Client\CallOptions;
use Switchyard\Client\Message\Message;
use Switchyard\Routing\V1\RouteInquiryRequest;
use Switchyard\Routing\V1\RouteInquiryResponse;
use Switchyard\Routing\V1\RoutingClientInterface;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Style\SymfonyStyle;

#[AsCommand(name: 'switchyard:route', description: 'Asks which queue an inquiry belongs to')]
final class RouteCommand extends CallCommand
{
    protected function configure(): void
    {
        parent::configure();
        $this->addArgument('body', InputArgument::REQUIRED, 'The message; "-" reads it from standard input')
            ->addOption('deployment', 'd', InputOption::VALUE_REQUIRED, 'Name of the deployment', 'support')
            ->addOption('subject', 's', InputOption::VALUE_REQUIRED, 'Subject line', '')
            ->addOption('channel', null, InputOption::VALUE_REQUIRED, 'Where it came from, such as email', '')
            ->addOption('locale', null, InputOption::VALUE_REQUIRED, 'BCP 47 tag of the language; without it the server detects it', '');
    }

    protected function call(InputInterface $input, CallOptions $options): Message
    {
        return $this->client(RoutingClientInterface::class, $input)->routeInquiry(new RouteInquiryRequest(
            deployment: (string) $input->getOption('deployment'),
            subject: (string) $input->getOption('subject'),
            body: self::text($input, 'body'),
            channel: (string) $input->getOption('channel'),
            locale: (string) $input->getOption('locale'),
        ), $options);
    }

    protected function print(Message $answer, SymfonyStyle $io): void
    {
        \assert($answer instanceof RouteInquiryResponse);
        DecisionTable::print($answer->decision, $io, [
            'Queue' => $answer->outOfScope ? 'none: it is out of scope' : $answer->queue,
            'Priority' => \ucfirst(DecisionText::word($answer->priority)),
            'Language' => null === $answer->language ? '' : \sprintf('%s (%.0f %%)', $answer->language->code, $answer->language->confidence * 100),
        ]);
    }
}
