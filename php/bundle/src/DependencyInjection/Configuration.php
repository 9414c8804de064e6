<?php

declare(strict_types=1);

namespace Switchyard\Bundle\DependencyInjection;

use Switchyard\Bundle\Moderation\OnUnavailable;
use Symfony\Component\Config\Definition\Builder\ArrayNodeDefinition;
use Symfony\Component\Config\Definition\Builder\NodeBuilder;
use Symfony\Component\Config\Definition\Builder\TreeBuilder;
use Symfony\Component\Config\Definition\ConfigurationInterface;
use Symfony\Component\Config\Definition\Exception\InvalidConfigurationException;

/**
 * What stands below "switchyard:" in the configuration. Values may be environment variables, so what a DSN or a key looks like is checked when a client
 * is made, not here. `bin/console config:dump-reference switchyard` prints all of it.
 */
final class Configuration implements ConfigurationInterface
{
    /** What a client's name looks like: it becomes the name of an argument (#[Target('archive')]) and the host of a Messenger DSN. */
    private const NAME = '/^[a-z][a-z0-9_]*$/D';

    public function __construct(private readonly bool $debug = false)
    {
    }

    public function getConfigTreeBuilder(): TreeBuilder
    {
        $tree = new TreeBuilder('switchyard');
        /** @var ArrayNodeDefinition $root */
        $root = $tree->getRootNode();
        $root
            ->info('Switchyard: moderation, routing and classification with a promised error rate.')
            ->beforeNormalization()->always(self::shortForm(...))->end()
            ->validate()->always(self::checkNames(...))->end();
        $children = $root->children();
        $this->clients($children);
        $this->moderation($children);
        $this->messenger($children);
        $this->profiler($children);
        $children
            ->arrayNode('manifests')
                ->info('Files "manifest.php" that protoc-gen-php-switchyard wrote for contracts of your own. Their clients become services as those of Switchyard do.')
                ->example(['%kernel.project_dir%/gen/php/manifest.php'])
                ->scalarPrototype()->cannotBeEmpty()->end()
            ->end()
            ->booleanNode('fake')
                ->info('For tests: every client is its generated fake, which calls nothing and answers what the test told it. See Switchyard\Bundle\Test\SwitchyardAssertionsTrait.')
                ->defaultFalse()
            ->end();
        $children->end();

        return $tree;
    }

    private function clients(NodeBuilder $node): void
    {
        $client = $node
            ->scalarNode('default_client')
                ->info('Name of the client that is injected where none is named. May be left out when there is one client, or one called "default".')
                ->defaultNull()
            ->end()
            ->arrayNode('clients')
                ->info('Connections to Switchyard servers by name. With one client write "switchyard: {dsn: ...}".')
                ->useAttributeAsKey('name')
                ->normalizeKeys(false)
                ->arrayPrototype();
        $client
            ->beforeNormalization()->ifString()->then(static fn (string $dsn): array => ['dsn' => $dsn])->end()
            ->children()
                ->scalarNode('dsn')
                    ->info('Where the server is: unix:///run/switchyard.sock, tcp://127.0.0.1:9090, tls://host:443. Checked when the client is first used.')
                    ->isRequired()->cannotBeEmpty()
                    ->example('%env(SWITCHYARD_DSN)%')
                ->end()
                // Not scalar: the type of %env(default::SWITCHYARD_KEY)% is "anything".
                ->variableNode('key')
                    ->info('API key. White space around it is ignored, so that "%env(file:SWITCHYARD_KEY_FILE)%" works. Null where the server asks for none.')
                    ->defaultNull()
                    ->example('%env(default::SWITCHYARD_KEY)%')
                    ->validate()->ifTrue(self::isNoText(...))->thenInvalid('must be a string or null')->end()
                ->end()
                ->integerNode('timeout')
                    ->info('Deadline of every unary call in milliseconds, retries included; 0 for that of the contract (800 ms for a decision). CallOptions of a call go before it.')
                    ->defaultValue(0)->min(0)
                ->end()
                ->integerNode('connect_timeout')
                    ->info('How long making a connection may take, in milliseconds; 0 for 2000.')
                    ->defaultValue(0)->min(0)
                ->end()
                ->integerNode('retries')
                    ->info('How often a call that the contract calls idempotent is repeated when the server is unavailable; 0 for never.')
                    ->defaultValue(2)->min(0)
                ->end()
                ->booleanNode('circuit_breaker')
                    ->info('Fail at once for a while after 5 failures in a row. The state is shared between workers.')
                    ->defaultTrue()
                ->end()
                ->enumNode('compression')
                    ->info('Of what is sent; worth it on slow networks only.')
                    ->values(['none', 'gzip'])->defaultValue('none')
                ->end()
                ->arrayNode('tls')
                    ->info('For tls:// only. Each is PEM text or the path of a file; also possible in the DSN: tls://host:443?ca=...&cert=...&key=...')
                    ->addDefaultsIfNotSet()
                    ->children()
                        ->variableNode('ca')->info('Authorities to trust; null for those of the system.')->defaultNull()->validate()->ifTrue(self::isNoText(...))->thenInvalid('must be a string or null')->end()->end()
                        ->variableNode('cert')->info('Certificate of this client, for servers that ask for one.')->defaultNull()->validate()->ifTrue(self::isNoText(...))->thenInvalid('must be a string or null')->end()->end()
                        ->variableNode('key')->info('Private key of the certificate.')->defaultNull()->validate()->ifTrue(self::isNoText(...))->thenInvalid('must be a string or null')->end()->end()
                    ->end()
                ->end()
            ->end();
    }

    private function moderation(NodeBuilder $node): void
    {
        $node->arrayNode('moderation')
            ->info('Defaults of the constraint #[Moderated] and of the Moderator service.')
            ->addDefaultsIfNotSet()
            ->children()
                ->scalarNode('client')->info('Name of the client; null for the default client.')->defaultNull()->end()
                ->scalarNode('deployment')->info('Deployment of moderation that decides when the constraint names none.')->defaultValue('comments')->cannotBeEmpty()->end()
                ->integerNode('timeout')
                    ->info('Deadline in milliseconds: how long a form may wait for its answer at most.')
                    ->defaultValue(500)->min(0)
                ->end()
                ->enumNode('on_unavailable')
                    ->info('What becomes of a text when there is no answer: "queue" accepts it as pending and moderates it later (needs Messenger), "allow" accepts it unchecked, "reject" asks to try again.')
                    ->values(\array_column(OnUnavailable::cases(), 'value'))->defaultValue(OnUnavailable::REJECT->value)
                ->end()
            ->end();
    }

    private function messenger(NodeBuilder $node): void
    {
        $node->arrayNode('messenger')
            ->info('How texts that could not be moderated at once are kept, and the transport switchyard://.')
            ->addDefaultsIfNotSet()
            ->children()
                ->scalarNode('transport')
                    ->info('Name of the Messenger transport that ModerateLater is routed to. Null when framework.messenger.routing says it.')
                    ->defaultNull()
                    ->example('async')
                ->end()
                ->scalarNode('bus')
                    ->info('Id of the bus that ModerateLater is sent on; null for the default bus.')
                    ->defaultNull()
                ->end()
                ->integerNode('delay')
                    ->info('Milliseconds that ModerateLater waits, so that the content is stored and the server back when it is handled.')
                    ->defaultValue(5000)->min(0)
                ->end()
                ->scalarNode('spool_dir')
                    ->info('Folder in which the transport switchyard:// keeps messages while the server is away. It must outlive a deployment and be writable for the web server and the workers.')
                    ->defaultValue('%kernel.project_dir%/var/switchyard-spool')->cannotBeEmpty()
                ->end()
            ->end();
    }

    private function profiler(NodeBuilder $node): void
    {
        $node->arrayNode('profiler')
            ->info('The panel in the web profiler.')
            ->addDefaultsIfNotSet()
            ->children()
                ->booleanNode('enabled')->info('Record calls. Costs memory and time: for development.')->defaultValue($this->debug)->end()
                ->integerNode('max_calls')->info('How many calls a request shows in full; the rest is counted.')->defaultValue(200)->min(0)->end()
                ->integerNode('max_payload')->info('How many bytes of a request or response are kept; 0 for none.')->defaultValue(2048)->min(0)->end()
                ->scalarNode('decision_url')
                    ->info('Address of a page about a decision, with {id} in place of its id; null for none.')
                    ->defaultNull()
                    ->example('https://switchyard.example/console/decisions/{id}')
                ->end()
            ->end();
    }

    /** Symfony tries the empty value of every type in place of an environment variable. */
    private static function isNoText(mixed $value): bool
    {
        return (bool) $value && !\is_string($value);
    }

    /** "switchyard: {dsn: ..., key: ...}" means one client called "default". */
    private static function shortForm(mixed $config): mixed
    {
        if (!\is_array($config) || !isset($config['dsn'])) {
            return $config;
        }
        $client = \array_intersect_key($config, ['dsn' => 1, 'key' => 1, 'timeout' => 1, 'connect_timeout' => 1, 'retries' => 1, 'circuit_breaker' => 1, 'compression' => 1, 'tls' => 1]);
        $config = \array_diff_key($config, $client);
        if (isset($config['clients']['default'])) {
            throw new InvalidConfigurationException('switchyard: "dsn" beside "clients" makes a client called "default", and "clients" has one too: keep one of them.');
        }
        $config['clients']['default'] = $client;

        return $config;
    }

    /**
     * @param array<string, mixed> $config
     *
     * @return array<string, mixed>
     */
    private static function checkNames(array $config): array
    {
        $names = \array_map('strval', \array_keys($config['clients']));
        foreach ($names as $name) {
            if (1 !== \preg_match(self::NAME, $name)) {
                throw new \InvalidArgumentException(\sprintf('The client name "%s" must be small letters, digits and "_", and begin with a letter.', $name));
            }
        }
        if ([] === $names) {
            throw new \InvalidArgumentException('No client is configured. Set "dsn: \'%env(SWITCHYARD_DSN)%\'", or several below "clients".');
        }
        $config['default_client'] ??= 1 === \count($names) ? $names[0] : 'default';
        $config['moderation']['client'] ??= $config['default_client'];
        foreach (['default_client' => $config['default_client'], 'moderation.client' => $config['moderation']['client']] as $where => $name) {
            if (!\in_array($name, $names, true)) {
                throw new \InvalidArgumentException(\sprintf('"%s" is "%s", but the clients are %s.', $where, $name, \implode(', ', $names)));
            }
        }

        return $config;
    }
}
