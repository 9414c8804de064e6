package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/services/review"
)

const (
	// tailAfter is how long after a start what the last stop may have left half-written is looked at: nobody waits for it, and the start has the machine until then.
	tailAfter = 3 * time.Second
	// firstAfter is how long after its first start a product is verified as a whole.
	firstAfter = 10 * time.Minute
	// namedProblems is how many problems are logged and kept; their number is kept in full.
	namedProblems = 50
)

// outcome is what a verification found, as it is kept over restarts.
type outcome struct {
	Scope    string           `json:"scope"` // "all" or "tail"
	Began    time.Time        `json:"began"`
	Ended    time.Time        `json:"ended"`
	Problems int              `json:"problems"`
	Named    []string         `json:"named,omitempty"`
	Error    string           `json:"error,omitempty"` // why it could not end
	Looked   map[string]int64 `json:"looked"`
}

// verified is the outcome of the last verifications; its zero value has none.
type verified struct{ all, tail atomic.Pointer[outcome] }

// text is what the readiness page says of it. It names no object, since anybody may read the page.
func (v *verified) text() string {
	o := v.all.Load()
	if tail := v.tail.Load(); o == nil || tail != nil && tail.Problems > 0 && tail.Ended.After(o.Ended) {
		o = tail
	}
	switch {
	case o == nil:
		return "ledger: not verified yet\n"
	case o.Error != "":
		return fmt.Sprintf("ledger: verification failed at %s\n", o.Ended.UTC().Format(time.RFC3339))
	case o.Problems > 0:
		return fmt.Sprintf("ledger: %d problems at %s, see the log or verify.json\n", o.Problems, o.Ended.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("ledger: verified (%s) at %s, no problems\n", o.Scope, o.Ended.UTC().Format(time.RFC3339))
}

// keepVerifying verifies the open tail soon after the start and everything by schedule, in the background.
func (a *App) keepVerifying(ctx context.Context) error {
	if a.db == nil {
		return nil
	}
	if err := a.measureVerified(); err != nil {
		return err
	}
	if last, err := readOutcome(a.verifiedPath()); err != nil {
		a.log.WarnContext(ctx, "the outcome of the last verification cannot be read", "error", err)
	} else if last != nil {
		a.verified.all.Store(last)
	}
	a.background.Go(func() error {
		if wait(ctx, tailAfter) {
			a.verify(ctx, "tail", a.tail())
		}
		for a.config.Verify.Every > 0 && wait(ctx, a.untilDue()) {
			v, ok := a.whole(ctx)
			if !ok {
				if !wait(ctx, time.Minute) { // the bus or the lake is away
					break
				}
				continue
			}
			a.verify(ctx, "all", v)
		}
		return nil
	})
	return nil
}

// untilDue is how long until everything is verified again.
func (a *App) untilDue() time.Duration {
	last := a.verified.all.Load()
	if last == nil {
		return min(firstAfter, a.config.Verify.Every)
	}
	return max(0, time.Until(last.Ended.Add(a.config.Verify.Every)))
}

func (a *App) artifactsDir() string { return filepath.Join(a.config.DataDir, "artifacts") }

// tail looks at what is written at last: the newest is what a crash can have left in pieces, and the chain of deployments, which is short. The journal's own end was checked when
// it was opened.
func (a *App) tail() ledger.Verifier {
	var v ledger.Verifier
	for _, c := range checks(a.db, a.artifactsDir(), a.busUp) {
		if c.Name == "deployments" || c.Name == "outbox" {
			v.Checks = append(v.Checks, c)
		}
	}
	return v
}

func (a *App) busUp() bool { return a.bus != nil && a.bus.Ready() }

// whole looks at everything; false while something of it cannot be reached.
func (a *App) whole(ctx context.Context) (ledger.Verifier, bool) {
	v := ledger.Verifier{Journal: a.journal, Lake: a.lake.Load(), Checks: checks(a.db, a.artifactsDir(), a.busUp)}
	pace := a.config.Verify.Pace(func(d time.Duration) { wait(ctx, d) })
	v.Pace = func(ctx context.Context) error { pace(); return ctx.Err() }
	if a.bus != nil {
		v.Stream = eventLog{a.bus}
		if a.review != nil {
			v.Reviews = reviewTables{review.Tables{DB: a.db}, a.bus}
		}
	}
	reached := (a.bus == nil || a.bus.Ready()) && (v.Lake != nil || !a.config.runs("decisions"))
	return v, reached
}

// verify runs a verification, keeps its outcome and tells of it.
func (a *App) verify(ctx context.Context, scope string, v ledger.Verifier) {
	o := &outcome{Scope: scope, Began: time.Now().UTC()}
	r, err := v.Verify(ctx)
	if ctx.Err() != nil {
		return // the product ends
	}
	o.Ended, o.Problems = time.Now().UTC(), len(r.Problems)
	o.Looked = r.Looked
	for k, n := range map[string]int64{"journal": r.Entries, "stream": r.Messages, "lake": r.Objects, "decisions": r.Rows, "items": r.Items} {
		if n > 0 {
			o.Looked[k] = n
		}
	}
	for i, p := range r.Problems {
		if i == namedProblems {
			break
		}
		o.Named = append(o.Named, p.Error())
		a.log.ErrorContext(ctx, "the ledger is damaged", "problem", p.Error())
	}
	if err != nil {
		o.Error = err.Error()
		a.log.ErrorContext(ctx, "the ledger could not be verified", "scope", scope, "error", err)
	} else {
		a.log.InfoContext(ctx, "the ledger was verified", "scope", scope, "problems", o.Problems, "took", o.Ended.Sub(o.Began), "looked", o.Looked)
	}
	if scope == "tail" {
		a.verified.tail.Store(o)
		return
	}
	a.verified.all.Store(o)
	if err := writeOutcome(a.verifiedPath(), o); err != nil {
		a.log.WarnContext(ctx, "the outcome of a verification cannot be kept", "error", err)
	}
}

// measureVerified shows the outcome among the metrics.
func (a *App) measureVerified() error {
	m := a.tel.Meter("github.com/switchyard-ai/switchyard/internal/ledger")
	problems, err1 := m.Int64ObservableGauge("switchyard.ledger.problems", metric.WithDescription("Problems that the last verification of everything found, and the last look at the open end after a start"))
	failed, err2 := m.Int64ObservableGauge("switchyard.ledger.verify.failed", metric.WithDescription("1 when the last verification could not end"))
	age, err3 := m.Float64ObservableGauge("switchyard.ledger.verify.age", metric.WithUnit("s"), metric.WithDescription("Seconds since the last verification of everything ended"))
	took, err4 := m.Float64ObservableGauge("switchyard.ledger.verify.duration", metric.WithUnit("s"), metric.WithDescription("Seconds that the last verification of everything took"))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return fmt.Errorf("make the metrics of verifications: %w", err)
	}
	_, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		n, bad := 0, int64(0)
		for _, last := range []*outcome{a.verified.all.Load(), a.verified.tail.Load()} {
			if last != nil {
				n += last.Problems
				if last.Error != "" {
					bad = 1
				}
			}
		}
		o.ObserveInt64(problems, int64(n))
		o.ObserveInt64(failed, bad)
		if last := a.verified.all.Load(); last != nil {
			o.ObserveFloat64(age, time.Since(last.Ended).Seconds())
			o.ObserveFloat64(took, last.Ended.Sub(last.Began).Seconds())
		}
		return nil
	}, problems, failed, age, took)
	return err
}

// verifiedPath is where the last outcome is kept.
func (a *App) verifiedPath() string { return filepath.Join(a.config.DataDir, "verify.json") }

func readOutcome(path string) (*outcome, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := &outcome{}
	if err := json.Unmarshal(data, o); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if o.Ended.After(time.Now()) || strings.TrimSpace(o.Scope) == "" {
		return nil, nil // a clock that was set back, or nothing of ours: verify anew
	}
	return o, nil
}

func writeOutcome(path string, o *outcome) error {
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// wait returns false when the context ends first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
