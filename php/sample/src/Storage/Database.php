<?php

declare(strict_types=1);

namespace App\Storage;

/** One SQLite file. Opened when it is first asked; several workers may write at the same time. */
final class Database
{
    private const SCHEMA = <<<'SQL'
        CREATE TABLE IF NOT EXISTS comments (
            reference TEXT PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL, decision TEXT NOT NULL DEFAULT '',
            visitor TEXT NOT NULL, created INTEGER NOT NULL
        );
        CREATE INDEX IF NOT EXISTS comments_created ON comments (created);
        CREATE TABLE IF NOT EXISTS inquiries (id TEXT PRIMARY KEY, content TEXT NOT NULL, created INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS statements (id TEXT PRIMARY KEY, content TEXT NOT NULL, created INTEGER NOT NULL);
        SQL;

    private ?\PDO $pdo = null;

    public function __construct(private readonly string $databaseFile)
    {
    }

    /**
     * @param array<string, string|int> $values by parameter name
     *
     * @return list<array<string, mixed>>
     */
    public function all(string $sql, array $values = []): array
    {
        return $this->run($sql, $values)->fetchAll(\PDO::FETCH_ASSOC);
    }

    /**
     * @param array<string, string|int> $values by parameter name
     *
     * @return int how many rows changed
     */
    public function write(string $sql, array $values): int
    {
        return $this->run($sql, $values)->rowCount();
    }

    /** @param array<string, string|int> $values */
    private function run(string $sql, array $values): \PDOStatement
    {
        $statement = $this->open()->prepare($sql);
        $statement->execute($values);

        return $statement;
    }

    private function open(): \PDO
    {
        if (null === $this->pdo) {
            @\mkdir(\dirname($this->databaseFile), 0o770, true);
            $this->pdo = new \PDO('sqlite:' . $this->databaseFile, null, null, [\PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION, \PDO::ATTR_TIMEOUT => 10]);
            $this->pdo->exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;' . self::SCHEMA);
        }

        return $this->pdo;
    }
}
