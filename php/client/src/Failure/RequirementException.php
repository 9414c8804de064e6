<?php

declare(strict_types=1);

namespace Switchyard\Client\Failure;

use Switchyard\Client\Exception;

/** PHP lacks something that this package needs; the message says what to install. */
final class RequirementException extends \RuntimeException implements Exception
{
}
