<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\DependencyInjection\Configuration;
use Symfony\Component\Config\Definition\ArrayNode;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;
use Symfony\Component\Config\Definition\NodeInterface;
use Symfony\Component\Config\Definition\Processor;
use Symfony\Component\Config\Definition\PrototypedArrayNode;

final class ConfigurationTest extends TestCase
{
    public function testEveryNodeSaysWhatItIsFor(): void
    {
        $seen = 0;
        $walk = static function (NodeInterface $node) use (&$walk, &$seen): void {
            $isItem = null !== $node->getParent() && $node->getParent() instanceof PrototypedArrayNode;
            if (!$isItem) {
                self::assertNotEmpty($node->getInfo(), $node->getPath());
                self::assertStringEndsWith('.', $node->getInfo(), $node->getPath());
                ++$seen;
            }
            if ($node instanceof PrototypedArrayNode) {
                $prototype = $node->getPrototype();
                $prototype instanceof ArrayNode && \array_map($walk, $prototype->getChildren());
            } elseif ($node instanceof ArrayNode) {
                \array_map($walk, $node->getChildren());
            }
        };
        $walk((new Configuration())->getConfigTreeBuilder()->buildTree());
        self::assertGreaterThan(25, $seen);
    }

    public function testOneClientNeedsNoMoreThanItsDsn(): void
    {
        $config = self::process(['dsn' => 'unix:///s']);
        self::assertSame('default', $config['default_client']);
        self::assertSame('unix:///s', $config['clients']['default']['dsn']);
        self::assertSame(2, $config['clients']['default']['retries']);
        self::assertSame('reject', $config['moderation']['on_unavailable']);
        self::assertFalse($config['profiler']['enabled']);
    }

    public function testTheOnlyClientIsTheDefaultWhateverItsName(): void
    {
        self::assertSame('live', self::process(['clients' => ['live' => 'unix:///s']])['default_client']);
        self::assertSame('live', self::process(['clients' => ['live' => 'unix:///s']])['moderation']['client']);
    }

    public function testFilesAddToEachOther(): void
    {
        $config = self::process(['dsn' => 'unix:///s', 'key' => 'abc'], ['clients' => ['archive' => 'tcp://a:1']], ['fake' => true]);
        self::assertSame(['default', 'archive'], \array_keys($config['clients']));
        self::assertSame('abc', $config['clients']['default']['key']);
        self::assertTrue($config['fake']);
    }

    /**
     * @param array<string, mixed> $config
     *
     * @dataProvider mistakes
     */
    public function testMistakesAreExplained(array $config, string $message): void
    {
        $this->expectException(InvalidConfigurationException::class);
        $this->expectExceptionMessageMatches($message);
        self::process($config);
    }

    /** @return iterable<string, array{array<string, mixed>, string}> */
    public static function mistakes(): iterable
    {
        yield 'no client' => [[], '/No client is configured. Set "dsn:/'];
        yield 'unknown default' => [['default_client' => 'x', 'clients' => ['a' => 'unix:///s']], '/"default_client" is "x", but the clients are a/'];
        yield 'no default among several' => [['clients' => ['a' => 'unix:///s', 'b' => 'unix:///t']], '/"default_client" is "default", but the clients are a, b/'];
        yield 'unknown client of moderation' => [['dsn' => 'unix:///s', 'moderation' => ['client' => 'x']], '/"moderation.client" is "x", but the clients are default/'];
        yield 'a name that is no argument' => [['clients' => ['my-client' => 'unix:///s']], '/"my-client" must be small letters/'];
        yield 'both forms' => [['dsn' => 'unix:///s', 'clients' => ['default' => 'unix:///t']], '/keep one of them/'];
        yield 'no such policy' => [['dsn' => 'unix:///s', 'moderation' => ['on_unavailable' => 'wait']], '/Permissible values: "queue", "allow", "reject"/'];
        yield 'no such option' => [['clients' => ['a' => ['dsn' => 'unix:///s', 'timeuot' => 1]]], '/Unrecognized option "timeuot".*timeout/s'];
        yield 'a negative timeout' => [['dsn' => 'unix:///s', 'timeout' => -1], '/-1 is too small.*clients.default.timeout/'];
        yield 'a key that is no text' => [['dsn' => 'unix:///s', 'key' => ['a']], '/must be a string or null/'];
    }

    /**
     * @param array<string, mixed> ...$configs
     *
     * @return array<string, mixed>
     */
    private static function process(array ...$configs): array
    {
        return (new Processor())->processConfiguration(new Configuration(), $configs);
    }
}
