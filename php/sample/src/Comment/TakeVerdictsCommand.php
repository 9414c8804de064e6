<?php

declare(strict_types=1);

namespace App\Comment;

use Switchyard\Common\V1\Exception\NotFoundException;
use Switchyard\Moderation\V1\Action;
use Switchyard\Review\V1\GetItemRequest;
use Switchyard\Review\V1\ItemState;
use Switchyard\Review\V1\ReviewClientInterface;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/** People decide in Switchyard's review queue; this brings their verdicts home. Run it every minute. */
#[AsCommand('app:take-verdicts', 'Publish or take down the comments that a person has decided about')]
final class TakeVerdictsCommand extends Command
{
    public function __construct(private readonly Comments $comments, private readonly ReviewClientInterface $reviews)
    {
        parent::__construct();
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        foreach ($this->comments->underReview() as $decisionId) {
            $action = $this->verdict($decisionId);
            if (null !== $action) {
                $this->comments->judge($decisionId, Action::ALLOW === $action);
                $output->writeln($decisionId . ' ' . $action->name);
            }
        }

        return Command::SUCCESS;
    }

    /** Null while nobody has decided, or the decision may still be taken back. */
    private function verdict(string $decisionId): ?Action
    {
        try {
            $item = $this->reviews->getItem(new GetItemRequest($decisionId))->item;
        } catch (NotFoundException) {
            return null; // erased, or not in the queue yet
        }
        $action = ItemState::CLOSED === $item?->state ? $item->verdict?->answer?->action : null;

        return Action::ALLOW === $action || Action::REMOVE === $action ? $action : null;
    }
}
