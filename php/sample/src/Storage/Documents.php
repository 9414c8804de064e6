<?php

declare(strict_types=1);

namespace App\Storage;

/** Keeps values that are only ever read by their id, as JSON. Ids cannot be guessed: who has the address of a page may read it. */
final class Documents
{
    public function __construct(private readonly Database $database)
    {
    }

    /**
     * @param 'inquiries'|'statements' $table
     *
     * @return string its id
     */
    public function add(string $table, \JsonSerializable $content): string
    {
        $id = \bin2hex(\random_bytes(16));
        $this->database->write("INSERT INTO $table (id, content, created) VALUES (:id, :content, :created)", [
            'id' => $id, 'content' => \json_encode($content, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_UNICODE), 'created' => \time(),
        ]);

        return $id;
    }

    /**
     * @param 'inquiries'|'statements' $table
     *
     * @return array<string, mixed>|null
     */
    public function find(string $table, string $id): ?array
    {
        $rows = $this->database->all("SELECT content FROM $table WHERE id = :id", ['id' => $id]);

        return [] === $rows ? null : \json_decode($rows[0]['content'], true, 512, \JSON_THROW_ON_ERROR);
    }
}
