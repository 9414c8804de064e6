<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger;

use Symfony\Component\Messenger\Exception\InvalidArgumentException;

/**
 * What a transport's DSN and options say:
 *
 *     switchyard://CLIENT?queue=mail&lease=60&wait=5&max=1
 */
final class Settings
{
    private const NUMBERS = [
        'lease' => [1, 43_200],
        'wait' => [0, 20],
        'max' => [1, 100],
        'spool_messages' => [0, 1_000_000],
        'spool_bytes' => [0, \PHP_INT_MAX],
    ];

    /**
     * @param string $client        name of a configured Switchyard client
     * @param string $queue         name of the queue
     * @param int    $lease         seconds that a worker has for one message, 1 to 43,200; a worker that keeps its messages alive may take longer
     * @param int    $wait          seconds that one look into the queue waits for a message, 0 to 20; 0 where a worker consumes several transports
     * @param int    $max           messages taken at once, 1 to 100
     * @param int    $spoolMessages messages kept on this machine at most while the server is away; 0 for none
     * @param int    $spoolBytes    bytes of them at most
     */
    public function __construct(
        public readonly string $client,
        public readonly string $queue = 'default',
        public readonly int $lease = 60,
        public readonly int $wait = 5,
        public readonly int $max = 1,
        public readonly int $spoolMessages = 10_000,
        public readonly int $spoolBytes = 256 << 20,
    ) {
    }

    /**
     * @param array<string, mixed> $options of the transport in the configuration; the DSN has precedence
     *
     * @throws InvalidArgumentException naming the option
     */
    public static function parse(#[\SensitiveParameter] string $dsn, array $options): self
    {
        if (1 !== \preg_match('~^switchyard://([A-Za-z0-9_.-]+)/?(?:\?(.*))?$~sD', $dsn, $parts)) {
            throw new InvalidArgumentException('A Switchyard DSN looks like "switchyard://CLIENT?queue=NAME", where CLIENT is the name of a configured client.');
        }
        \parse_str($parts[2] ?? '', $query);
        unset($options['transport_name']); // Messenger adds it
        $given = $query + $options;
        $unknown = \array_diff(\array_keys($given), ['queue', ...\array_keys(self::NUMBERS)]);
        if ([] !== $unknown) {
            throw new InvalidArgumentException(\sprintf('Unknown option "%s" of a Switchyard transport; there are queue, %s.', \implode('", "', $unknown), \implode(', ', \array_keys(self::NUMBERS))));
        }
        $standard = new self($parts[1]);
        $queue = $given['queue'] ?? $standard->queue;
        if (!\is_string($queue) || 1 !== \preg_match('/^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$/D', $queue)) {
            throw new InvalidArgumentException('Option "queue" of a Switchyard transport must be 1 to 64 of a-z, 0-9, ".", "_" and "-", with a letter or digit at both ends.');
        }

        return new self(
            $parts[1],
            $queue,
            self::number($given, 'lease', $standard->lease),
            self::number($given, 'wait', $standard->wait),
            self::number($given, 'max', $standard->max),
            self::number($given, 'spool_messages', $standard->spoolMessages),
            self::number($given, 'spool_bytes', $standard->spoolBytes),
        );
    }

    /** @param array<string, mixed> $given */
    private static function number(array $given, string $name, int $standard): int
    {
        [$least, $most] = self::NUMBERS[$name];
        $value = \filter_var($given[$name] ?? $standard, \FILTER_VALIDATE_INT, ['options' => ['min_range' => $least, 'max_range' => $most]]);
        if (false === $value) {
            throw new InvalidArgumentException(\sprintf('Option "%s" of a Switchyard transport must be a whole number from %d to %d.', $name, $least, $most));
        }

        return $value;
    }
}
