<?php

declare(strict_types=1);

/*
 * Loads Symfony: the one whose autoloader SYMFONY_AUTOLOAD names (script/symfony unpacks 5.4 and 6.4), else 5.4 of .bin, else what Debian installed in
 * /usr/share/php. Namespaces in SYMFONY_WITHOUT are not found: so optional packages can be absent though they are installed.
 */

(static function (): void {
    $unpacked = \dirname(__DIR__, 4) . '/.bin/symfony-5.4/autoload.php';
    $file = \getenv('SYMFONY_AUTOLOAD') ?: (\is_file($unpacked) ? $unpacked : '');
    $before = \spl_autoload_functions();
    if ('' !== $file) {
        require $file;
    } else {
        \spl_autoload_register(static function (string $class): void {
            $path = '/usr/share/php/' . \strtr($class, '\\', '/') . '.php';
            if (1 === \preg_match('/^(Symfony|Psr|Twig|Monolog|Doctrine)\\\\/', $class) && \is_file($path)) {
                require_once $path;
            }
        });
        foreach (['Contracts/Deprecation/function.php', 'Component/String/Resources/functions.php'] as $functions) {
            \is_file('/usr/share/php/Symfony/' . $functions) && require_once '/usr/share/php/Symfony/' . $functions;
        }
    }
    $without = \array_filter(\explode(',', (string) \getenv('SYMFONY_WITHOUT')));
    if ([] !== $without) {
        foreach (\spl_autoload_functions() as $loader) {
            if (\in_array($loader, $before, true)) {
                continue;
            }
            \spl_autoload_unregister($loader);
            \spl_autoload_register(static function (string $class) use ($loader, $without): void {
                foreach ($without as $namespace) {
                    if (\str_starts_with($class, $namespace . '\\')) {
                        return;
                    }
                }
                $loader($class);
            });
        }
    }
    if (!\class_exists(Symfony\Bundle\FrameworkBundle\FrameworkBundle::class)) {
        \fwrite(\STDERR, "no Symfony: run script/symfony, install php-symfony-framework-bundle, or set SYMFONY_AUTOLOAD\n");
        exit(1);
    }
})();
