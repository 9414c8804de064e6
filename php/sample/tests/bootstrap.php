<?php

declare(strict_types=1);

/*
 * tests/Web needs Symfony only: every client is a fake. tests/Production starts the real server, php-fpm and nginx, and is skipped where one of them is missing.
 */

use Switchyard\Client\Tests\Support\Folder;
use Symfony\Component\Dotenv\Dotenv;

$autoload = require __DIR__ . '/../config/autoload.php';
\is_callable($autoload) && $autoload('Switchyard\\Client\\Tests\\', __DIR__ . '/../../client/tests');
(new Dotenv())->bootEnv(__DIR__ . '/../.env');
$_SERVER['APP_VAR_DIR'] = Folder::make();
\error_reporting(\E_ALL);
