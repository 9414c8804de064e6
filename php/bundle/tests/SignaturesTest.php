<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;

/** Every public and protected signature of the bundle has types, so that static analysis of applications knows them. */
final class SignaturesTest extends TestCase
{
    public function testEverySignatureIsTyped(): void
    {
        $methods = 0;
        foreach (self::classes() as $class) {
            $reflection = new \ReflectionClass($class);
            self::assertTrue($reflection->isFinal() || $reflection->isAbstract() || $reflection->isInterface() || $reflection->isEnum() || $reflection->isTrait(), $class . ' is neither final nor abstract');
            foreach ($reflection->getMethods(\ReflectionMethod::IS_PUBLIC | \ReflectionMethod::IS_PROTECTED) as $method) {
                if ($method->getFileName() !== $reflection->getFileName()) {
                    continue;
                }
                ++$methods;
                $name = $class . '::' . $method->getName();
                self::assertTrue($method->isConstructor() || $method->hasReturnType(), $name . ' returns something without a type');
                foreach ($method->getParameters() as $parameter) {
                    self::assertTrue($parameter->hasType(), $name . ': $' . $parameter->getName() . ' has no type');
                }
            }
            foreach ($reflection->getProperties(\ReflectionProperty::IS_PUBLIC) as $property) {
                self::assertTrue($property->hasType() || $property->getDeclaringClass()->getName() !== $class, $class . '::$' . $property->getName() . ' has no type');
            }
        }
        self::assertGreaterThan(100, $methods);
    }

    public function testEveryFileIsStrict(): void
    {
        foreach (self::files() as $file) {
            self::assertStringContainsString("declare(strict_types=1);\n", (string) \file_get_contents($file), $file);
        }
    }

    /** @return iterable<class-string> */
    private static function classes(): iterable
    {
        foreach (self::files() as $file) {
            yield 'Switchyard\Bundle\\' . \strtr(\substr($file, \strlen(\dirname(__DIR__) . '/src/'), -4), '/', '\\');
        }
    }

    /** @return iterable<string> */
    private static function files(): iterable
    {
        foreach (new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator(\dirname(__DIR__) . '/src', \FilesystemIterator::SKIP_DOTS)) as $file) {
            yield (string) $file;
        }
    }
}
