package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/switchyard-ai/switchyard/test/demo/sim"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// playMonth plays the month in a folder of its own, tells it as it goes, and writes what came of it.
func (s *settings) playMonth(ctx context.Context, dir string, out *summary.TextWriter) (_ *summary.Month, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	o := s.month
	o.Bin, o.Data, o.Dir, o.Seed = s.sim.Bin, s.sim.Data, dir, s.sim.Seed
	_ = out.Say(`
A month of another team, which begins with %d examples of each queue and no promise. %d inquiries arrive on each of %d days;
people answer what is not automated, a schedule trains on what they say, and gates decide what is better.`, o.Examples, o.PerDay, o.Days)
	if o.DriftDay > 0 {
		_ = out.Say("On day %d the queues %s and %s exchange their work, and nobody tells the product.", o.DriftDay, o.Swapped[0], o.Swapped[1])
	}
	o.Say = func(format string, args ...any) { _ = out.Say("       "+format, args...) }
	o.Tick = func(d summary.MonthDay) { _ = out.MonthDay(d) }
	m, err := sim.OpenMonth(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	_ = out.MonthDays()
	r, err := m.Play()
	if err != nil {
		return nil, err
	}
	if err := write(s.monthReport, func(w io.Writer) error { return summary.MonthHTML(w, r) }); err != nil {
		return nil, err
	}
	if err := out.Month(r); err != nil {
		return nil, err
	}
	_ = out.Say("\nThe month took %.0f s.", r.TookSeconds)
	if s.monthReport != "" {
		_ = out.Say("The same with plots: %s", s.monthReport)
	}
	return r, nil
}
