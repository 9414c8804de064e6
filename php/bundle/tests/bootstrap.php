<?php

declare(strict_types=1);

/*
 * The tests boot real kernels of the Symfony that SYMFONY_ROOT names, and call a real server: bin/switchyard of this checkout ("make build"), or the one that
 * SWITCHYARD_BIN names.
 */

error_reporting(\E_ALL);
require __DIR__ . '/Support/symfony.php';
$autoload = require __DIR__ . '/../autoload.php';
$autoload('Switchyard\\Bundle\\Tests\\', __DIR__);
$autoload('Switchyard\\Client\\Tests\\', __DIR__ . '/../../client/tests');
// A contract of somebody else, as the generator writes it.
$autoload('Test\\Service\\', __DIR__ . '/../../../cmd/protoc-gen-php-switchyard/testdata/service/php/Test/Service');
