<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests;

use PHPUnit\Framework\TestCase;
use Switchyard\Bundle\Tests\Support\BundleClasses;

/** Every public and protected signature of the bundle has types, so that static analysis of applications knows them. */
final class SignaturesTest extends TestCase
{
    /** Classes that another of the bundle extends. */
    private const PARENTS = ['Switchyard\Bundle\Messenger\Transport'];

    public function testEverySignatureIsTyped(): void
    {
        $methods = 0;
        foreach (BundleClasses::all() as $class) {
            $reflection = new \ReflectionClass($class);
            self::assertTrue($reflection->isFinal() || \in_array($class, self::PARENTS, true) || $reflection->isAbstract() || $reflection->isInterface() || $reflection->isEnum() || $reflection->isTrait(), $class . ' is neither final nor abstract');
            foreach ($reflection->getMethods(\ReflectionMethod::IS_PUBLIC | \ReflectionMethod::IS_PROTECTED) as $method) {
                if ($method->getFileName() !== $reflection->getFileName()) {
                    continue;
                }
                ++$methods;
                $name = $class . '::' . $method->getName();
                self::assertTrue($method->isConstructor() || $method->hasReturnType(), $name . ' returns something without a type');
                foreach ($method->getParameters() as $parameter) {
                    // PHP has no type for a resource.
                    $isResource = \str_contains((string) $method->getDocComment(), '@param resource $' . $parameter->getName());
                    self::assertTrue($parameter->hasType() || $isResource, $name . ': $' . $parameter->getName() . ' has no type');
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
        foreach (BundleClasses::all() as $file => $class) {
            self::assertStringContainsString("declare(strict_types=1);\n", (string) \file_get_contents($file), $file);
        }
    }
}
