// Command demo plays a day of a support team on real, labelled inquiries through the built binary, and reports what came of it: how much was routed by itself, how much of that was wrong, how well the people
// agreed, what it cost, and whether everything is where it belongs. Then it plays a month in which a model learns from what people say, and the world changes.
//
// "make demo" builds the binary and runs it. The data set is not part of the repository; without it the command says what is missing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/switchyard-ai/switchyard/internal/testkit/data"
	"github.com/switchyard-ai/switchyard/test/demo/sim"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// settings are what the flags say.
type settings struct {
	sim         sim.Options
	month       sim.MonthOptions
	only        string // "day", "month", or empty for both
	night, day  int
	dir         string
	report      string
	monthReport string
	json        bool
}

func main() {
	s := settings{sim: sim.Defaults(), month: sim.DefaultMonth()}
	o := &s.sim
	flag.StringVar(&s.only, "only", "", `"day" or "month": play this alone`)
	flag.StringVar(&o.Bin, "bin", "bin/switchyard", "the built product")
	flag.StringVar(&o.Data, "data", data.Dir(), "folder of the data sets")
	flag.Uint64Var(&o.Seed, "seed", o.Seed, "what arrives and what people say follows from it")
	flag.IntVar(&s.night, "night", 900, "inquiries of the night, which are decided as one job")
	flag.IntVar(&s.day, "day", 2600, "inquiries of the day")
	flag.DurationVar(&o.Hour, "hour", o.Hour, "how long an hour takes")
	flag.Float64Var(&o.AuditRate, "audits", o.AuditRate, "share of the automated decisions that people check")
	flag.Float64Var(&o.SecondOpinions, "second-opinions", o.SecondOpinions, "share of the items that two people judge")
	flag.Float64Var(&o.Gold, "test-items", o.Gold, "share of test items in what people get")
	flag.IntVar(&o.TrainRows, "train", 0, "train on so many rows only")
	flag.StringVar(&s.dir, "keep", "", "write the product's data into this new folder and keep it (default: a temporary one)")
	flag.StringVar(&s.report, "report", "demo-report.html", "write the HTML report to this file; empty for none")
	flag.StringVar(&s.monthReport, "month-report", "demo-month.html", "write the HTML report of the month to this file; empty for none")
	flag.IntVar(&s.month.Days, "days", s.month.Days, "days of the month")
	flag.BoolFunc("small", "a month of fewer inquiries and a laxer promise, in a third of the time; before the flags that change it", func(string) error {
		s.month = sim.SmallMonth()
		return nil
	})
	flag.IntVar(&s.month.PerDay, "per-day", s.month.PerDay, "inquiries of each of them")
	flag.IntVar(&s.month.DriftDay, "drift", s.month.DriftDay, "day on which the world changes; 0 for never")
	flag.BoolVar(&s.json, "json", false, "print the report as JSON, and progress on standard error")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := s.run(ctx)
	interrupted := ctx.Err() != nil
	stop()
	missing, absent := errors.AsType[*sim.MissingDataError](err)
	switch {
	case absent:
		fmt.Fprintf(os.Stderr, howToGetData, missing.Path)
		os.Exit(2)
	case interrupted:
		fmt.Fprintln(os.Stderr, "demo: interrupted; the server is stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

const howToGetData = `The demo plays on the data set it_tickets, real inquiries with the queues that they belong to. It is not part of the repository, and

  %s

is absent. Put it_tickets/train.jsonl.gz and it_tickets/valid.jsonl.gz into a folder, and say where it is:

  SWITCHYARD_DATA=/path/to/the/folder make demo

Each line is {"text": "…", "label": "…"}. Inquiries of your own in these two files do as well: the first is trained on, at least 3,500 of the second arrive during the day, and 12,000 of the first during the month.
`

func (s *settings) run(ctx context.Context) error {
	if s.only != "" && s.only != "day" && s.only != "month" {
		return fmt.Errorf("-only %s: must be day or month", s.only)
	}
	if _, err := os.Stat(s.sim.Bin); err != nil {
		return fmt.Errorf("%w; build it with: make build", err)
	}
	if err := sim.CheckData(s.sim.Data); err != nil {
		return err
	}
	dir, done, err := s.folder()
	if err != nil {
		return err
	}
	defer done()
	var progress io.Writer = os.Stdout
	if s.json {
		progress = os.Stderr
	}
	text := summary.NewText(progress)
	text.Bold = isTerminal(os.Stdout) && !s.json
	var played struct {
		Day   *summary.Report `json:"day,omitempty"`
		Month *summary.Month  `json:"month,omitempty"`
	}
	if s.only != "month" {
		s.sim.Dir = dir
		if played.Day, err = s.play(ctx, text); err != nil {
			return err
		}
		if err := s.show(played.Day, text); err != nil {
			return err
		}
	}
	if s.only != "day" {
		if played.Month, err = s.playMonth(ctx, filepath.Join(dir, "month"), text); err != nil {
			return err
		}
	}
	if s.json {
		e := json.NewEncoder(os.Stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(played); err != nil {
			return err
		}
	}
	if played.Day != nil && !played.Day.OK() || played.Month != nil && !played.Month.OK() {
		return errors.New("something does not hold that must; see what was checked")
	}
	return nil
}

// folder returns where the product keeps its data, and what removes it.
func (s *settings) folder() (string, func(), error) {
	if s.dir != "" {
		if err := os.MkdirAll(filepath.Dir(s.dir), 0o755); err != nil {
			return "", nil, err
		}
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			return "", nil, fmt.Errorf("--keep: %w", err)
		}
		return s.dir, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "switchyard-demo")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// play plays the day, and tells it as it goes.
func (s *settings) play(ctx context.Context, out *summary.TextWriter) (_ *summary.Report, err error) {
	_ = out.Say(`A day of a support team, through the built binary and its public interfaces. %d real inquiries
arrive, %d of them at night. Those that are certain are routed at once; the others wait for %d simulated
people, whose answers come from the labels of the data with known errors. An hour takes %v.
`, s.night+s.day, s.night, len(s.sim.People), s.sim.Hour)
	s.sim.Say = func(format string, args ...any) { _ = out.Say("  "+format, args...) }
	s.sim.Tick = func(h summary.Hour) { _ = out.Hour(h) }
	w, err := sim.Open(ctx, s.sim)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	_ = out.Hours()
	y, m, d := time.Now().Date()
	if err := w.Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC), s.night, s.day); err != nil {
		return nil, err
	}
	_ = out.Say("\n  The queue is empty. Reading the figures, stopping the server, verifying every byte …")
	return w.Report()
}

func (s *settings) show(r *summary.Report, out *summary.TextWriter) error {
	if err := write(s.report, func(w io.Writer) error { return summary.HTML(w, r) }); err != nil {
		return err
	}
	if err := out.Report(r); err != nil {
		return err
	}
	s.farewell(out, r)
	return nil
}

// write writes a report into a file; none when path is empty.
func write(path string, report func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(report(file), file.Close())
}

// farewell says where everything is.
func (s *settings) farewell(out *summary.TextWriter, r *summary.Report) {
	_ = out.Say("\nThe day took %.0f s.", r.TookSeconds)
	if s.report != "" {
		_ = out.Say("The same with plots: %s", s.report)
	}
	data := filepath.Join(s.dir, "data")
	if s.dir == "" {
		_ = out.Say("The data is gone; to keep it and look around: make demo ARGS=\"-keep demo-data\"")
		return
	}
	_ = out.Say(`The data is in %[2]s. Look around:
  %[1]s lake cat verdicts --data-dir %[2]s --limit 3
  %[1]s serve --data-dir %[2]s --http 127.0.0.1:8080      then open http://127.0.0.1:8080/console with the key in %[2]s.key`, s.sim.Bin, data)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
