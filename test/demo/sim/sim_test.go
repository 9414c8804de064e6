package sim

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// dataset writes n made-up inquiries into the files of the data set.
func dataDir(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "it_tickets"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{trainFile, arriveFile} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		for i := range n {
			fmt.Fprintf(z, `{"text":"inquiry %d of %s","label":"Hardware"}`+"\n", i, name)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMissingDataIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Open(t.Context(), Options{Data: dir, Dir: t.TempDir()})
	missing, ok := errors.AsType[*MissingDataError](err)
	if !ok || missing.Path != filepath.Join(dir, trainFile) {
		t.Errorf("the error is %v", err)
	}
	if err := CheckData(dataDir(t, 1)); err != nil {
		t.Errorf("the data is there: %v", err)
	}
}

func TestNoInquiryComesTwiceAndTheSeedFixesTheOrder(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, 50)
	var runs [2][]Ticket
	for i := range runs {
		s, err := OpenStream(dir, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{20, 30} {
			got, err := s.Take(n)
			if err != nil {
				t.Fatal(err)
			}
			runs[i] = append(runs[i], got...)
		}
		if _, err := s.Take(1); err == nil || s.Left() != 0 {
			t.Error("there are more inquiries than the data has")
		}
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Error("the same seed gives another order")
	}
	ids, texts := map[string]bool{}, map[string]bool{}
	for _, t := range runs[0] {
		ids[t.ID], texts[t.Text] = true, true
	}
	if len(ids) != 50 || len(texts) != 50 {
		t.Errorf("50 inquiries have %d ids and %d texts", len(ids), len(texts))
	}
}

func TestInquiriesArriveWhileTheDeskIsOpen(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	times := arrivals(rand.New(rand.NewPCG(1, 1)), day, 5000)
	if !slices.IsSortedFunc(times, time.Time.Compare) || times[0].Before(at(day, deskOpens)) || times[4999].After(at(day, dayEnd)) {
		t.Errorf("the first comes at %v, the last at %v", times[0], times[4999])
	}
	perHour := map[int]int{}
	for _, at := range times {
		perHour[at.Hour()]++
	}
	if perHour[10] < perHour[12] || perHour[14] < perHour[17] || len(perHour) != 10 {
		t.Errorf("inquiries by hour are %v", perHour)
	}
}

func TestTheClockRunsFasterAndKnowsEarlierDays(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 5, 4, 6, 0, 0, 0, time.UTC)
	c := NewClock(begin, 36*time.Millisecond) // 100,000 times
	if !c.Now().Equal(begin) || c.Real(10*time.Minute) != 6*time.Millisecond || c.Simulated(36*time.Millisecond) != time.Hour {
		t.Error("a clock that stands moves, or counts wrongly")
	}
	c.StartAt(begin.Add(time.Hour))
	if err := c.Until(t.Context(), begin.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if now := c.Now(); now.Before(begin.Add(2 * time.Hour)) {
		t.Errorf("it is %v", now)
	}
	yesterday := time.Now()
	was := c.Of(yesterday)
	c.StartAt(begin.Add(24 * time.Hour))
	if c.Of(yesterday) != was || !c.Now().After(begin.Add(24*time.Hour)) {
		t.Error("a new day changes what was yesterday")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c.Sleep(ctx, 1000*time.Hour) == nil {
		t.Error("nobody could wake who sleeps")
	}
}

// TestPeopleErrAsTheyAreSetUp draws many answers of one person.
func TestPeopleErrAsTheyAreSetUp(t *testing.T) {
	t.Parallel()
	r := &reviewer{Person: Person{Error: 0.15, NotSure: 0.02, Seconds: 40}, rng: rand.New(rand.NewPCG(1, 2))}
	it := &reviewv1.ReviewItem{}
	for _, l := range []string{"Hardware", "Access", "Purchase"} {
		it.Labels = append(it.Labels, &commonv1.LabelProbability{Label: l})
	}
	const n = 20_000
	wrong, unsure, plausible := 0, 0, 0
	var spent []time.Duration
	for range n {
		spent = append(spent, r.seconds())
		a := r.answer(it, "Access")
		switch {
		case a.GetNotSure():
			unsure++
		case !right(a, "Access"):
			wrong++
			if a.GetLabels()[0] == "Hardware" {
				plausible++
			}
		}
	}
	slices.Sort(spent)
	if e := float64(wrong) / float64(n-unsure); e < 0.14 || e > 0.16 || unsure < n/60 || unsure > n/40 {
		t.Errorf("%.3f wrong, %d of %d not sure", e, unsure, n)
	}
	if plausible*10 < wrong*8 || plausible == wrong {
		t.Errorf("%d of %d mistakes are the most plausible one", plausible, wrong)
	}
	if m := spent[n/2]; m < 38*time.Second || m > 42*time.Second {
		t.Errorf("half of the items take %v", m)
	}
}
