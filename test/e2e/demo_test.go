package e2e

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/testkit/data"
	"github.com/switchyard-ai/switchyard/test/demo/sim"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// TestADayOfASupportTeam plays a small day of "make demo", and checks what the report says against what the simulation knows. It has the machine for itself: people who answer within a fraction of a second
// would otherwise wait for it.
func TestADayOfASupportTeam(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs with the measurements")
	}
	data.Path(t, "it_tickets/train.jsonl.gz")
	data.Path(t, "it_tickets/valid.jsonl.gz")
	o := sim.Defaults()
	o.Bin, o.Data, o.Dir = binary, data.Dir(), t.TempDir()
	o.TrainRows, o.Hour = 12_000, 1200*time.Millisecond
	for i := range o.People {
		if o.People[i].Leaves > 0 {
			o.People[i].Leaves = 8 // the day is short
		}
	}
	r := playDay(t, o, 300, 900)

	for _, c := range r.Checks {
		if !c.OK {
			t.Errorf("%s: %s", c.What, c.Detail)
		}
	}
	a, alpha := r.Automated, r.Promise.MaxError
	// Three standard errors: the certificate is about the inquiries, of which these are some.
	if most := alpha + 3*math.Sqrt(alpha*(1-alpha)/float64(a.Decisions)); a.Error > most || alpha != 0.05 {
		t.Errorf("%.2f %% of the automated decisions are wrong, promised at most %.0f %%, with sampling error %.2f %%", 100*a.Error, 100*alpha, 100*most)
	}
	if a.Share < 0.55 { // 74.5 % after training on all rows, 65 to 68 % on 12,000
		t.Errorf("%.1f %% are automated, expected at least 55 %%", 100*a.Share)
	}
	if r.Traffic.Inquiries != 1200 || a.Decisions+int(r.Review.Items) != 1200 || r.Review.Items != r.Review.Decided || r.Rows("decisions") != 1200 {
		t.Errorf("1200 inquiries are %d automated and %d for people, who decided %d; the lake has %d", a.Decisions, r.Review.Items, r.Review.Decided, r.Rows("decisions"))
	}
	for _, p := range r.People {
		if p.Answers < 10 || !p.Plausible(0.001) {
			t.Errorf("%s errs in %.1f %% of %d answers; the estimate is %.1f %% from %d items", p.Name, 100*p.Realised(), p.Answers, 100*p.Estimated, p.Items)
		}
	}
	if k := r.Agreement.Kappa; k < 0.65 || k >= 1 || math.Abs(k-r.Agreement.Alpha) > 0.15 || r.Agreement.Items < 40 {
		t.Errorf("agreement is %+v", r.Agreement)
	}
	if r.RightAtLast() < 0.92 || r.Review.FinalRight*10 < int(r.Review.Items)*8 {
		t.Errorf("%.1f %% are right at last, %d of %d by people", 100*r.RightAtLast(), r.Review.FinalRight, r.Review.Items)
	}
	// Every inquiry for people and every audit costs what the policy says of an item, and nothing else does.
	item := int64(math.Round(32e6 * 40 / 3600))
	if got, want := r.Cost.Decisions-r.Cost.Compute, item*(r.Review.Items+r.Audits.Closed); got != want || r.Cost.Baseline != item*1200 {
		t.Errorf("people cost %d, expected %d; by hand %d, expected %d", got, want, r.Cost.Baseline, item*1200)
	}
	everythingHappened(t, r)
	presentable(t, r)
	t.Logf("%.1f s: %.1f %% automated, %.2f %% wrong, audits say %.2f %%, kappa %.2f", r.TookSeconds, 100*a.Share, 100*a.Error, 100*r.Audits.Corrected, r.Agreement.Kappa)
}

func playDay(t *testing.T, o sim.Options, night, inquiries int) *summary.Report {
	t.Helper()
	w, err := sim.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := w.Day(time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC), night, inquiries); err != nil {
		t.Fatal(err)
	}
	r, err := w.Report()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// everythingHappened checks that the day had all that a day has, so that nothing above holds because it was left out.
func everythingHappened(t *testing.T, r *summary.Report) {
	t.Helper()
	v := r.Review
	for what, n := range map[string]int64{
		"audits": r.Audits.Closed, "second opinions": v.SecondOpinions, "disagreements": v.Disagreements, "answers to test items": v.GoldAnswers, "undone answers": int64(v.Undone),
		"answers not sure": v.NotSure, "expired leases": int64(v.Expired), "feedback": int64(v.Feedback), "appeals": int64(v.Appeals), "calls over REST": int64(r.Traffic.REST),
		"items of the job": int64(r.Traffic.Batch), "repeated calls": int64(r.Traffic.Repeated), "moments of the day": int64(len(r.Hours)), "time spent": int64(v.TimeSpent),
		"waiting time": int64(v.WaitP90), "webhooks": int64(r.Events.Webhooks),
	} {
		if n == 0 {
			t.Errorf("there were no %s", what)
		}
	}
}

// presentable checks that text and page hold the figures, and that the page needs nothing else.
func presentable(t *testing.T, r *summary.Report) {
	t.Helper()
	var text, page strings.Builder
	if err := summary.NewText(&text).Report(r); err != nil {
		t.Fatal(err)
	}
	if err := summary.HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{"text": text.String(), "page": page.String()} {
		for _, want := range []string{"anna", "everything is as it was written", "1,200", "κ"} {
			if want == "κ" && name == "text" {
				want = "kappa"
			}
			if !strings.Contains(s, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		if strings.Contains(s, "NaN") || strings.Contains(s, "%!") {
			t.Errorf("%s has what people cannot read:\n%s", name, s)
		}
	}
	if p := page.String(); strings.Contains(p, "<script") || strings.Contains(p, "src=") || strings.Contains(p, "href=") {
		t.Error("the page asks for something else")
	}
}
