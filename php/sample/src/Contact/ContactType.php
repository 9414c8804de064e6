<?php

declare(strict_types=1);

namespace App\Contact;

use Symfony\Component\Form\AbstractType;
use Symfony\Component\Form\Extension\Core\Type\EmailType;
use Symfony\Component\Form\Extension\Core\Type\TextareaType;
use Symfony\Component\Form\Extension\Core\Type\TextType;
use Symfony\Component\Form\FormBuilderInterface;
use Symfony\Component\OptionsResolver\OptionsResolver;

final class ContactType extends AbstractType
{
    public function buildForm(FormBuilderInterface $builder, array $options): void
    {
        $builder
            ->add('email', EmailType::class, ['label' => 'E-mail', 'attr' => ['autocomplete' => 'email', 'maxlength' => 120]])
            ->add('subject', TextType::class, ['attr' => ['maxlength' => 200]])
            ->add('body', TextareaType::class, ['label' => 'Message', 'attr' => ['rows' => 6, 'maxlength' => 5000]]);
    }

    public function configureOptions(OptionsResolver $resolver): void
    {
        $resolver->setDefaults(['data_class' => Inquiry::class]);
    }
}
