<?php

declare(strict_types=1);

namespace Switchyard\Client;

/** How the messages of a request are compressed. Answers are read either way. */
enum Compression: string
{
    case NONE = 'identity';

    /** Needs ext-zlib. Worth it over a network, not over a unix socket. */
    case GZIP = 'gzip';
}
