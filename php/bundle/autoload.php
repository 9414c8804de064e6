<?php

declare(strict_types=1);

/*
 * Loads Switchyard\Bundle, Switchyard\Client and the generated classes of Switchyard without Composer, from a checkout of the repository. Symfony itself must be
 * loaded by other means, such as the autoload.php files of Debian's packages.
 */

$autoload = require __DIR__ . '/../client/autoload.php';
$autoload('Switchyard\\Bundle\\', __DIR__ . '/src');
$autoload('Switchyard\\', __DIR__ . '/../../gen/php/Switchyard');

return $autoload;
