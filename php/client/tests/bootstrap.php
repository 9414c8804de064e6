<?php

declare(strict_types=1);

/*
 * The tests call a real server: bin/switchyard of this checkout ("make build"), or the one that SWITCHYARD_BIN names.
 */

$autoload = require __DIR__ . '/../autoload.php';
$autoload('Switchyard\\Client\\Tests\\', __DIR__);
$autoload('Switchyard\\', __DIR__ . '/../../../gen/php/Switchyard');
// PSR-3 is optional; where Composer has not installed it, its log is tested with an interface of the same shape.
if (!interface_exists(Psr\Log\LoggerInterface::class)) {
    require __DIR__ . '/Support/psr.php';
}
error_reporting(\E_ALL);
