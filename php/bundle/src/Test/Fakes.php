<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Test;

/**
 * The fakes that stand in for clients where "switchyard.fake" is true. They live as long as the process, not as the container: a functional test boots a new
 * kernel for each request, and what it queued before must still be there. SwitchyardAssertionsTrait forgets them after each test.
 */
final class Fakes
{
    /** @var array<string, object> "name:class" to fake */
    private static array $fakes = [];

    private function __construct()
    {
    }

    /**
     * @template T of object
     *
     * @param class-string<T> $class of a generated fake
     *
     * @return T
     */
    public static function get(string $class, string $client): object
    {
        return self::$fakes[$client . ':' . $class] ??= new $class();
    }

    /**
     * The generator's rule: FooClientInterface is faked by FakeFooClient.
     *
     * @return class-string
     */
    public static function classOf(string $interface): string
    {
        $class = \preg_replace('/([^\\\\]+)Interface$/', 'Fake$1', $interface);
        if (!\is_string($class) || $class === $interface || !\class_exists($class)) {
            throw new \InvalidArgumentException(\sprintf('%s is not the interface of a generated client: there is no %s.', $interface, $class));
        }

        return $class;
    }

    public static function forget(): void
    {
        self::$fakes = [];
    }
}
