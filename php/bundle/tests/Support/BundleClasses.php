<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Support;

/** Everything in src/ that can be loaded with this Symfony. */
final class BundleClasses
{
    /** Classes that need an interface which came with a later Symfony than the oldest. */
    private const NEEDS = ['Switchyard\Bundle\Messenger\KeepaliveTransport' => 'Symfony\Component\Messenger\Transport\Receiver\KeepaliveReceiverInterface'];

    /** @return iterable<string, class-string> by file */
    public static function all(): iterable
    {
        $src = \dirname(__DIR__, 2) . '/src';
        foreach (new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator($src, \FilesystemIterator::SKIP_DOTS)) as $file) {
            $class = 'Switchyard\Bundle\\' . \strtr(\substr((string) $file, \strlen($src) + 1, -4), '/', '\\');
            if (!isset(self::NEEDS[$class]) || \interface_exists(self::NEEDS[$class])) {
                yield (string) $file => $class;
            }
        }
    }
}
