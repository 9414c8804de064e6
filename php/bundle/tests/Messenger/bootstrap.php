<?php

declare(strict_types=1);

/*
 * Loads what the tests of the Messenger transport need, for running them alone: phpunit --bootstrap tests/Messenger/bootstrap.php tests/Messenger. Symfony is the one
 * whose autoloader SYMFONY_AUTOLOAD names, else that of Debian's packages.
 */

$autoload = require __DIR__ . '/../../../client/autoload.php';
$autoload('Switchyard\\Client\\Tests\\', __DIR__ . '/../../../client/tests');
$autoload('Switchyard\\Bundle\\Tests\\Messenger\\', __DIR__);
$autoload('Switchyard\\Bundle\\Messenger\\', __DIR__ . '/../../src/Messenger');
$autoload('Switchyard\\', __DIR__ . '/../../../../gen/php/Switchyard');
if ('' !== (string) \getenv('SYMFONY_AUTOLOAD')) {
    require \getenv('SYMFONY_AUTOLOAD');
} else {
    \spl_autoload_register(static function (string $class): void {
        $path = '/usr/share/php/' . \strtr($class, '\\', '/') . '.php';
        if (1 === \preg_match('/^(Symfony|Psr)\\\\/', $class) && \is_file($path)) {
            require_once $path;
        }
    });
    require_once '/usr/share/php/Symfony/Contracts/Deprecation/function.php';
}
\error_reporting(\E_ALL);
