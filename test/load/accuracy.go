package main

import (
	"context"
	"fmt"
)

// measureAccuracy trains on the public data sets through the command line and reads what "train --json" says. Processor time and memory
// are those of the whole command: reading, training, certification on rows held back, evaluation.
func measureAccuracy(ctx context.Context, b *bench) error {
	s, err := b.startProduct(ctx, "accuracy")
	if err != nil {
		return err
	}
	defer func() { _ = s.Kill() }()
	cmd := command("accuracy")
	percent := func(what string, got, figure float64, basis string) {
		b.table.add(row{what, fmt.Sprintf("%.2f %%", 100*got), fmt.Sprintf("≥ %.1f %%", 100*figure), got >= figure, basis, cmd})
	}

	m, err := b.train(ctx, s, "routing", "banking77", "banking77", "banking77/test.jsonl.gz")
	if err != nil {
		return err
	}
	percent("banking77 train→test accuracy", m.Accuracy, 0.917, "a tenth of the rows held back for certification")
	b.table.atMost("banking77 training, processor time of the whole command", m.cpu.Seconds(), 5, "s", fmt.Sprintf("wall %.1f s", m.wall.Seconds()), cmd)
	b.table.atMost("banking77 training, peak memory of the whole command", m.peakMiB, 600, "MiB", "largest resident set", cmd)

	if m, err = b.train(ctx, s, "routing", "support", "it_tickets", "it_tickets/valid.jsonl.gz"); err != nil {
		return err
	}
	percent("it_tickets train→valid accuracy", m.Accuracy, 0.865, fmt.Sprintf("processor time %.1f s", m.cpu.Seconds()))
	for _, a := range m.Automation {
		if a.Policy {
			percent("it_tickets share automated at 5 % certified error (95 %)", a.Share, 0.70, fmt.Sprintf("realised error %.2f %%", 100*a.RealisedError))
			b.table.atMost("it_tickets realised error of the automated share", 100*a.RealisedError, 5, "%", "", cmd)
		}
	}

	if m, err = b.train(ctx, s, "routing", "clinc150", "clinc150", "clinc150/test.jsonl.gz"); err != nil {
		return err
	}
	if m.Scope != nil {
		percent("clinc150 in-scope accuracy", m.Scope.InScopeAccuracy, 0.923, "")
	}
	if m, err = b.train(ctx, s, "moderation", "spam", "sms_spam", "sms_spam/test.jsonl.gz", "--harmless-label", "ham"); err != nil {
		return err
	}
	percent("sms_spam accuracy", m.Accuracy, 0.99, "")

	if m, err = b.train(ctx, s, "classification", "income", "adult_income", "adult_income/test.jsonl.gz", "--method", "trees"); err != nil {
		return err
	}
	percent("adult_income with trees, accuracy", m.Accuracy, 0.87, "")
	if m.AUC != nil {
		b.table.add(row{"adult_income with trees, AUC", fmt.Sprintf("%.4f", *m.AUC), "≥ 0.925", *m.AUC >= 0.925, "", cmd})
	}
	b.table.atMost("adult_income with trees, processor time of the whole command", m.cpu.Seconds(), 5, "s", fmt.Sprintf("wall %.1f s", m.wall.Seconds()), cmd)
	return nil
}
