<?php

declare(strict_types=1);

use Switchyard\Bundle\Moderation\Moderator;
use Switchyard\Bundle\Validator\ModeratedValidator;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;

use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

return static function (ContainerConfigurator $container): void {
    $container->services()->set(ModeratedValidator::class)
        ->args([service(Moderator::class), service('property_accessor')->nullOnInvalid()])
        ->tag('validator.constraint_validator');
};
