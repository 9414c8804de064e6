<?php

declare(strict_types=1);

// Loads every class that the manifests name and the whole runtime, and reports what is public without a type.
// Arguments: the directory of the runtime, then directories of generated code.

\error_reporting(\E_ALL);
[, $runtime] = $argv;
$dirs = \array_slice($argv, 1);
\spl_autoload_register(static function (string $class) use ($runtime, $dirs): void {
    $file = $runtime . '/' . \strtr(\preg_replace('/^Switchyard\\\\Client\\\\/', '', $class), '\\', '/') . '.php';
    if (\str_starts_with($class, 'Switchyard\Client\\') && \is_file($file)) {
        require_once $file;

        return;
    }
    foreach ($dirs as $dir) {
        if (\is_file($file = $dir . '/' . \strtr($class, '\\', '/') . '.php')) {
            require_once $file;
        }
    }
});
foreach ($dirs as $dir) {
    foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($dir, FilesystemIterator::SKIP_DOTS)) as $file) {
        if ('php' === $file->getExtension()) {
            require_once $file->getPathname();
        }
    }
}
$classes = \array_filter(
    \array_merge(\get_declared_classes(), \get_declared_interfaces(), \get_declared_traits()),
    static fn (string $c): bool => !(new ReflectionClass($c))->isInternal(),
);
$count = 0;
foreach ($classes as $name) {
    $class = new ReflectionClass($name);
    foreach ($class->getMethods(ReflectionMethod::IS_PUBLIC) as $method) {
        if ($method->getDeclaringClass()->isInternal() || '' === (string) $method->getFileName()) {
            continue;
        }
        ++$count;
        if (!$method->hasReturnType() && !$method->isConstructor() && !$method->isDestructor()) { // PHP allows neither to have one
            echo "$name::{$method->name}() has no return type\n";
        }
        foreach ($method->getParameters() as $parameter) {
            if (!$parameter->hasType()) {
                echo "$name::{$method->name}(): \${$parameter->name} has no type\n";
            }
        }
    }
    foreach ($class->getProperties(ReflectionProperty::IS_PUBLIC) as $property) {
        if (!$property->hasType() && !$property->getDeclaringClass()->isInternal()) {
            echo "$name::\${$property->name} has no type\n";
        }
    }
}
\fprintf(\STDERR, "%d classes, %d public methods\n", \count($classes), $count);
