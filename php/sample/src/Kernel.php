<?php

declare(strict_types=1);

namespace App;

use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;

/** APP_VAR_DIR is where the application writes: cache, log, sessions, database, spool. It is var/ unless the environment says otherwise. */
final class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    public function getProjectDir(): string
    {
        return \dirname(__DIR__);
    }

    public function getCacheDir(): string
    {
        return $this->varDir() . '/cache/' . $this->environment;
    }

    public function getLogDir(): string
    {
        return $this->varDir() . '/log';
    }

    protected function build(ContainerBuilder $container): void
    {
        $container->setParameter('app.var_dir', $this->varDir());
    }

    private function varDir(): string
    {
        return $_SERVER['APP_VAR_DIR'] ?? $this->getProjectDir() . '/var';
    }
}
