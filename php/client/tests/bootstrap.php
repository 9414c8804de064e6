<?php

declare(strict_types=1);

/*
 * The tests call a real server: bin/switchyard of this checkout ("make build"), or the one that SWITCHYARD_BIN names.
 */

$autoload = require __DIR__ . '/../autoload.php';
$autoload('Switchyard\\Client\\Tests\\', __DIR__);
$autoload('Switchyard\\', __DIR__ . '/../../../gen/php/Switchyard');
// PSR-3 is optional; where it is not installed its log test is skipped.
$autoload('Psr\\Log\\', '/usr/share/php/Psr/Log');
error_reporting(\E_ALL);
