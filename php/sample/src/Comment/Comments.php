<?php

declare(strict_types=1);

namespace App\Comment;

use App\Storage\Database;
use Switchyard\Bundle\Moderation\Moderation;
use Switchyard\Bundle\Moderation\ModerationState;

/** Comments with what moderation said of them. A comment that waits is shown to nobody but its author. */
final class Comments
{
    private const SHOWN = 100;

    public function __construct(private readonly Database $database)
    {
    }

    public function add(Comment $comment, Moderation $moderation, string $visitor): void
    {
        $this->database->write(
            'INSERT INTO comments (reference, author, text, state, decision, visitor, created) VALUES (:reference, :author, :text, :state, :decision, :visitor, :created)',
            [
                'reference' => $moderation->reference, 'author' => (string) $comment->author, 'text' => (string) $comment->text, 'state' => $moderation->state->value,
                'decision' => $moderation->decisionId() ?? '', 'visitor' => $visitor, 'created' => \time(),
            ],
        );
    }

    /**
     * The answer to a comment that was accepted without one. What a person or an earlier delivery of the same answer decided stays.
     *
     * @return bool whether there was a comment that waited for it
     */
    public function settle(Moderation $moderation): bool
    {
        return 1 === $this->database->write('UPDATE comments SET state = :state, decision = :decision WHERE reference = :reference AND state = :queued', [
            'state' => $moderation->state->value, 'decision' => $moderation->decisionId() ?? '', 'reference' => $moderation->reference, 'queued' => ModerationState::QUEUED->value,
        ]);
    }

    /**
     * Decisions that a person has to make, oldest first.
     *
     * @return list<string>
     */
    public function underReview(): array
    {
        return \array_column($this->database->all("SELECT decision FROM comments WHERE state = 'review' AND decision <> '' ORDER BY created"), 'decision');
    }

    /** What a person said. */
    public function judge(string $decisionId, bool $mayStand): void
    {
        $this->database->write("UPDATE comments SET state = :state WHERE decision = :decision AND state = 'review'", [
            'state' => ($mayStand ? ModerationState::ALLOWED : ModerationState::REMOVED)->value, 'decision' => $decisionId,
        ]);
    }

    /**
     * The newest comments that this visitor may see, newest first.
     *
     * @return list<array{reference: string, author: string, text: string, state: ModerationState, created: int}>
     */
    public function visibleTo(string $visitor): array
    {
        $rows = $this->database->all(
            "SELECT reference, author, text, state, created FROM comments WHERE state IN ('allowed', 'unchecked') OR visitor = :visitor ORDER BY created DESC, rowid DESC LIMIT " . self::SHOWN,
            ['visitor' => $visitor],
        );

        return \array_map(static fn (array $row): array => ['state' => ModerationState::from($row['state'])] + $row, $rows);
    }
}
