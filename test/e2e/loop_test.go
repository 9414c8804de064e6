package e2e

import (
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/testkit/data"
	"github.com/switchyard-ai/switchyard/test/demo/sim"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// TestFigureTheLoopAutomatesAndKeepsItsPromise lets 20,000 inquiries arrive at the product, which begins with ten examples of each queue: people answer what is not automated, audits check 5 % of what is, 800 new
// labels start a run. A version that stays as it was first certified, and a model that is retrained on what people answered with a threshold that looks good enough, decide the same inquiries. It takes
// minutes, so it runs when SWITCHYARD_FIGURE_LOOP is set: to the share of the people's answers that are wrong, such as 0 or 0.03; where it is not 0, two people judge every item.
func TestFigureTheLoopAutomatesAndKeepsItsPromise(t *testing.T) {
	wrong, err := strconv.ParseFloat(os.Getenv("SWITCHYARD_FIGURE_LOOP"), 64)
	if err != nil {
		t.Skip("set SWITCHYARD_FIGURE_LOOP=0 to run it")
	}
	data.Path(t, "it_tickets/train.jsonl.gz")
	o := sim.DefaultLoop()
	o.Bin, o.Data, o.Dir, o.Say, o.People = binary, data.Dir(), t.TempDir(), t.Logf, sim.Reviewers(wrong)
	if wrong > 0 {
		// Nobody knows which of the differences are a person's mistakes, so none are credited to the model: of people who err in 3 %, hardly anything could be certified. Two who judge the same item err alike in a tenth of a per cent.
		o.SecondOpinions = 1
	}
	if seed, err := strconv.ParseUint(os.Getenv("SWITCHYARD_FIGURE_SEED"), 10, 64); err == nil {
		o.Seed = seed
	}
	o.Tick = func(d summary.MonthDay) {
		t.Logf("day %d: %.1f %% automated, %.2f %% wrong, %d audited, live error %.2f %% (%.2f to %.2f %%), version %d, %s", d.Day, 100*d.Share(), 100*d.Error(), d.Audited, 100*d.Live, 100*d.LiveLow, 100*d.LiveHigh, d.Version, d.State)
	}
	l, err := sim.PlayLoop(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*sim.Arm{l.Product, l.Frozen, l.Naive} {
		t.Logf("loop: %s", a)
	}
	t.Logf("the first certified version answers since day %d; reviewers erred in %.2f %%; %.0f s", l.FrozenSince, 100*l.Month.ReviewerError, l.Month.TookSeconds)
	for _, c := range l.Month.Checks {
		if !c.OK {
			t.Errorf("%s: %s", c.What, c.Detail)
		}
	}
	if l.Product.Share() < 0.6 || l.Product.Error() > o.MaxError {
		t.Errorf("%s; want at least 60 %% at an error of at most 5 %%", l.Product)
	}
	// Better: more of the work at a promise that is kept.
	if l.Frozen.Error() <= o.MaxError && l.Frozen.Share() >= l.Product.Share() {
		t.Errorf("no better than a frozen model: %s", l.Frozen)
	}
	slack := 2 * math.Sqrt(o.MaxError*(1-o.MaxError)/float64(max(1, l.Naive.Automated)))
	if l.Naive.Error() <= o.MaxError+slack && l.Naive.Share() >= l.Product.Share() {
		t.Errorf("no better than naive retraining: %s", l.Naive)
	}
}

// TestTheLoopWithoutAServer plays the same inquiries by the same code for training and certificates, without gates, halts and a server: some two minutes that tell what the loop could reach.
func TestTheLoopWithoutAServer(t *testing.T) {
	wrong, err := strconv.ParseFloat(os.Getenv("SWITCHYARD_FIGURE_LOOP_ENGINE"), 64)
	if err != nil {
		t.Skip("set SWITCHYARD_FIGURE_LOOP_ENGINE=0 to run it")
	}
	data.Path(t, "it_tickets/train.jsonl.gz")
	o := sim.DefaultLoop()
	o.Data, o.Say, o.People = data.Dir(), t.Logf, sim.Reviewers(wrong)
	if seed, err := strconv.ParseUint(os.Getenv("SWITCHYARD_FIGURE_SEED"), 10, 64); err == nil {
		o.Seed = seed
	}
	certified, err := sim.Learn(t.Context(), o, true)
	if err != nil {
		t.Fatal(err)
	}
	naive, err := sim.Learn(t.Context(), o, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("loop: %s", certified)
	t.Logf("loop: %s", naive)
	if certified.Share() <= naive.Share() {
		t.Error("certificates automate no more than a threshold that looks good enough")
	}
	if certified.Error() > o.MaxError+2*math.Sqrt(o.MaxError*(1-o.MaxError)/float64(max(1, certified.Automated))) {
		t.Error("the promise is broken")
	}
}
