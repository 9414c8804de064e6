package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/testkit/data"
	"github.com/switchyard-ai/switchyard/test/demo/sim"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// TestAModelThatLearnsFromItsTrafficKeepsItsPromise plays a month of "make demo" on fewer inquiries: from a few examples to automation, over a change of the world that stops it by itself, to a new
// certificate. With SWITCHYARD_MONTH=full it is the month of "make demo".
func TestAModelThatLearnsFromItsTrafficKeepsItsPromise(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs with the measurements")
	}
	data.Path(t, "it_tickets/train.jsonl.gz")
	data.Path(t, "it_tickets/valid.jsonl.gz")
	o := sim.SmallMonth()
	if os.Getenv("SWITCHYARD_MONTH") == "full" {
		o = sim.DefaultMonth()
	}
	o.Bin, o.Data, o.Dir, o.Say = binary, data.Dir(), t.TempDir(), t.Logf
	o.Tick = func(d summary.MonthDay) {
		t.Logf("day %d: %.1f %% automated, %.2f %% wrong, %d audited, live error %.2f %% (%.2f to %.2f %%), %s", d.Day, 100*d.Share(), 100*d.Error(), d.Audited, 100*d.Live, 100*d.LiveLow, 100*d.LiveHigh, d.State)
	}
	m, err := sim.OpenMonth(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	r, err := m.Play()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if !c.OK {
			t.Errorf("%s: %s", c.What, c.Detail)
		}
	}
	before, stop := r.Between(1, o.DriftDay-1), r.Halts
	if before.Automated < before.Inquiries/20 || len(stop) == 0 || stop[0].Day < o.DriftDay || !stop[0].ByItself || r.MaxError != o.MaxError {
		t.Errorf("%d of %d automated before day %d, stops %+v", before.Automated, before.Inquiries, o.DriftDay, stop)
	}
	var page strings.Builder
	if err := summary.MonthHTML(&page, r); err != nil || !strings.Contains(page.String(), "everything is as it was written") {
		t.Errorf("the page: %v", err)
	}
	t.Logf("%.1f s, reviewers err in %.2f %%", r.TookSeconds, 100*r.ReviewerError)
}
