<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Moderation;

use Symfony\Component\Messenger\Exception\RecoverableExceptionInterface;

/** There is still no answer. Messenger tries again however often it has been: the text is not lost. */
final class ModerationPostponed extends \RuntimeException implements RecoverableExceptionInterface
{
    private const RETRY_MILLIS = 5_000;

    public function __construct(string $message, \Throwable $previous)
    {
        parent::__construct($message, 0, $previous);
    }

    /** Read from Symfony 7.2 on; before, the retry strategy of the transport says how long to wait. */
    public function getRetryDelay(): ?int
    {
        return self::RETRY_MILLIS;
    }
}
