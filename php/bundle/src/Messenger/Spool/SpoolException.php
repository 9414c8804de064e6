<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger\Spool;

use Symfony\Component\Messenger\Exception\TransportException;

/** The folder for messages that the server has not taken yet cannot be used. */
final class SpoolException extends TransportException
{
}
