<?php

declare(strict_types=1);

namespace Switchyard\Client\Failure;

use Switchyard\Client\Exception;

/** A mistake of the program: a DSN, a file of a key or a header name that cannot be used. */
final class ConfigurationException extends \InvalidArgumentException implements Exception
{
}
