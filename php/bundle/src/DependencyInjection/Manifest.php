<?php

declare(strict_types=1);

namespace Switchyard\Bundle\DependencyInjection;

use Switchyard\Moderation\V1\ModerationClientInterface;
use Symfony\Component\DependencyInjection\Exception\InvalidArgumentException;

/** A file manifest.php of protoc-gen-php-switchyard: which services a contract has, and the classes that call them. */
final class Manifest
{
    /** @param array<string, array{interface: class-string, client: class-string, fake: class-string}> $services by protobuf name */
    private function __construct(public readonly string $file, public readonly array $services)
    {
    }

    /** That of Switchyard's own contracts, wherever they are installed: beside the folder that their namespace starts in. */
    public static function own(): self
    {
        if (!\interface_exists(ModerationClientInterface::class)) {
            throw new InvalidArgumentException('The generated classes of Switchyard (Switchyard\Moderation\V1 and others) cannot be autoloaded: add "Switchyard\\\\": "gen/php/Switchyard" to the PSR-4 roots.');
        }
        $interface = (string) (new \ReflectionClass(ModerationClientInterface::class))->getFileName();

        return self::read(\dirname($interface, 4) . '/manifest.php');
    }

    public static function read(string $file): self
    {
        if (!\is_file($file)) {
            throw new InvalidArgumentException(\sprintf('switchyard.manifests: there is no file %s.', $file));
        }
        $manifest = require $file;
        if (!\is_array($manifest) || !\is_array($manifest['services'] ?? null)) {
            throw new InvalidArgumentException(\sprintf('switchyard.manifests: %s does not return a manifest of protoc-gen-php-switchyard.', $file));
        }
        foreach ($manifest['services'] as $name => $service) {
            foreach (['interface', 'client', 'fake'] as $kind) {
                $class = $service[$kind] ?? '';
                if (!\interface_exists($class) && !\class_exists($class)) {
                    throw new InvalidArgumentException(\sprintf('switchyard.manifests: %s names the class "%s" for %s, which cannot be autoloaded.', $file, $class, $name));
                }
            }
        }

        return new self($file, $manifest['services']);
    }
}
