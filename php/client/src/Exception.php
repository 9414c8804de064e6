<?php

declare(strict_types=1);

namespace Switchyard\Client;

/** Everything that this package throws on purpose implements this interface. */
interface Exception extends \Throwable
{
}
