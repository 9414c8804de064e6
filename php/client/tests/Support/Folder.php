<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Support;

/** Folders that are removed when PHP ends. Their paths are short, since that of a unix socket is limited. */
final class Folder
{
    public static function make(): string
    {
        $dir = \sys_get_temp_dir() . '/sy' . \bin2hex(\random_bytes(5));
        \mkdir($dir, 0755);
        \register_shutdown_function(static fn () => self::remove($dir));

        return $dir;
    }

    private static function remove(string $dir): void
    {
        foreach (\array_diff(\scandir($dir) ?: [], ['.', '..']) as $name) {
            $path = $dir . '/' . $name;
            \is_dir($path) && !\is_link($path) ? self::remove($path) : @\unlink($path);
        }
        @\rmdir($dir);
    }
}
