<?php

declare(strict_types=1);

/*
 * Loads Symfony, the bundle and this application: with Composer's vendor/autoload.php when "composer install" was run, else with Debian's packages
 * (php-symfony-*) and the bundle of this repository. SYMFONY_AUTOLOAD names another file that loads Symfony: the tests run on several versions.
 */

$file = getenv('SYMFONY_AUTOLOAD');
if (!$file && is_file(__DIR__ . '/../vendor/autoload.php')) {
    return require __DIR__ . '/../vendor/autoload.php';
}
if ($file) {
    require_once $file;
} else {
    foreach ([
        'Bundle/FrameworkBundle', 'Bundle/TwigBundle', 'Bundle/WebProfilerBundle', 'Component/Asset', 'Component/BrowserKit', 'Component/Console', 'Component/CssSelector',
        'Component/Dotenv', 'Component/Form', 'Component/Messenger', 'Component/Security/Csrf', 'Component/Stopwatch', 'Component/Translation', 'Component/Validator', 'Component/Yaml',
    ] as $package) {
        if (is_file($file = '/usr/share/php/Symfony/' . $package . '/autoload.php')) {
            require_once $file;
        }
    }
    class_exists(Symfony\Bundle\FrameworkBundle\FrameworkBundle::class)
        || exit("Symfony is not installed: run \"composer install\", or install Debian's php-symfony-* packages; docs/guide/symfony.md names them.\n");
}

$autoload = require __DIR__ . '/../../bundle/autoload.php';
$autoload('App\\Tests\\', __DIR__ . '/../tests');
$autoload('App\\', __DIR__ . '/../src');

return $autoload;
