<?php

declare(strict_types=1);

/*
 * Loads Switchyard\Client without Composer. For generated code in other folders:
 *
 *     $autoload = require 'php/client/autoload.php';
 *     $autoload('Switchyard\\', __DIR__ . '/gen/php/Switchyard');
 */

namespace Switchyard\Client;

/**
 * Adds a PSR-4 root.
 *
 * @param string $prefix namespace with a backslash at its end
 */
$register = static function (string $prefix, string $dir): void {
    $skip = \strlen($prefix);
    \spl_autoload_register(static function (string $class) use ($prefix, $dir, $skip): void {
        if (\str_starts_with($class, $prefix)) {
            $file = $dir . '/' . \strtr(\substr($class, $skip), '\\', '/') . '.php';
            if (\is_file($file)) {
                require $file;
            }
        }
    });
};
$register('Switchyard\\Client\\', __DIR__ . '/src');

return $register;
