<?php

declare(strict_types=1);

/*
 * Loads Symfony and what it needs from the folder that SYMFONY_ROOT names (default /usr/share/php, where Debian installs it) by PSR-4, without the namespaces
 * that SYMFONY_WITHOUT lists: so optional packages can be absent though they are installed.
 */

(static function (): void {
    $root = \getenv('SYMFONY_ROOT') ?: '/usr/share/php';
    if (!\is_dir($root . '/Symfony/Bundle/FrameworkBundle')) {
        \fwrite(\STDERR, "no Symfony below $root: install php-symfony-framework-bundle, or set SYMFONY_ROOT\n");
        exit(1);
    }
    $without = \array_filter(\explode(',', (string) \getenv('SYMFONY_WITHOUT')));
    \spl_autoload_register(static function (string $class) use ($root, $without): void {
        if (1 !== \preg_match('/^(Symfony|Psr|Twig|Monolog|Doctrine)\\\\/', $class)) {
            return;
        }
        foreach ($without as $namespace) {
            if (\str_starts_with($class, $namespace . '\\')) {
                return;
            }
        }
        foreach ([$root, '/usr/share/php'] as $dir) {
            $file = $dir . '/' . \strtr($class, '\\', '/') . '.php';
            if (\is_file($file)) {
                require_once $file;

                return;
            }
            if (\str_starts_with($class, 'Symfony\\')) {
                return; // never a mixture of two versions
            }
        }
    });
    foreach (['Symfony/Contracts/Deprecation/function.php', 'Symfony/Component/String/Resources/functions.php'] as $file) {
        if (\is_file($root . '/' . $file)) {
            require_once $root . '/' . $file;
        }
    }
})();
