<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Messenger\Spool;

use Symfony\Component\Messenger\Exception\TransportException;

/** The server is away, and this machine keeps as many messages for it as it may. The message was not taken. */
final class SpoolFullException extends TransportException
{
}
