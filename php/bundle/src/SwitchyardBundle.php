<?php

declare(strict_types=1);

namespace Switchyard\Bundle;

use Switchyard\Bundle\DependencyInjection\Compiler\LaterRoutingPass;
use Switchyard\Bundle\DependencyInjection\SwitchyardExtension;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Extension\ExtensionInterface;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/**
 * Switchyard in a Symfony application. One source for Symfony 5.4 to 8, so nothing here is newer than 5.4: Bundle instead of AbstractBundle, definitions
 * instead of attributes for services.
 */
final class SwitchyardBundle extends Bundle
{
    public function build(ContainerBuilder $container): void
    {
        parent::build($container);
        $container->addCompilerPass(new LaterRoutingPass());
    }

    /** The folder above src/, so that templates/ and translations/ are found. */
    public function getPath(): string
    {
        return \dirname(__DIR__);
    }

    public function getContainerExtension(): ?ExtensionInterface
    {
        return $this->extension ??= new SwitchyardExtension();
    }
}
