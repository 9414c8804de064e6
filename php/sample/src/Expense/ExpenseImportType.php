<?php

declare(strict_types=1);

namespace App\Expense;

use Symfony\Component\Form\AbstractType;
use Symfony\Component\Form\Extension\Core\Type\FileType;
use Symfony\Component\Form\Extension\Core\Type\TextareaType;
use Symfony\Component\Form\FormBuilderInterface;
use Symfony\Component\OptionsResolver\OptionsResolver;

final class ExpenseImportType extends AbstractType
{
    public function buildForm(FormBuilderInterface $builder, array $options): void
    {
        $builder
            ->add('file', FileType::class, ['label' => 'CSV file', 'required' => false, 'attr' => ['accept' => '.csv,text/csv']])
            ->add('text', TextareaType::class, ['label' => 'or paste lines', 'required' => false, 'attr' => ['rows' => 8, 'placeholder' => '2026-11-02; Night train to Vienna; 89,90', 'spellcheck' => 'false']]);
    }

    public function configureOptions(OptionsResolver $resolver): void
    {
        $resolver->setDefaults(['data_class' => ExpenseImport::class]);
    }
}
