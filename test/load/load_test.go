package main

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestCompareAlternatesAndTakesMedians(t *testing.T) {
	t.Parallel()
	var order strings.Builder
	b := &bench{rounds: 3, window: time.Millisecond}
	ours := []float64{1, 30, 10, 20} // the first round only warms up
	c, err := b.compare(t.Context(),
		func(context.Context, time.Duration) (float64, error) {
			order.WriteByte('a')
			r := ours[0]
			ours = ours[1:]
			return r, nil
		},
		func(context.Context, time.Duration) (float64, error) { order.WriteByte('b'); return 10, nil })
	if err != nil {
		t.Fatal(err)
	}
	if c.ratio() != 2 {
		t.Errorf("ratio %v, want the median 2", c.ratio())
	}
	if order.String() != "baabbaab" && order.String() != "abbaabba" {
		t.Errorf("order %s, want the sides to take turns in being first", order.String())
	}
}

func TestCallEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	want := errors.New("no")
	if _, err := call(t.Context(), 4, time.Minute, func(context.Context, int, int64) error { return want }); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestParseBench(t *testing.T) {
	t.Parallel()
	got := parseBench("goos: linux\nBenchmarkDurableRatio-2  1  123 ns/op  42.5 ratio  9 allocs/op\nPASS\n")
	if m := got["DurableRatio"]; m["ratio"] != 42.5 || m["allocs/op"] != 9 {
		t.Errorf("parsed %v", got)
	}
}

func TestTheTableSaysWhatIsMissed(t *testing.T) {
	t.Parallel()
	var tb table
	tb.atLeast("fast", 3, 2, "a : b", "make bench")
	tb.atMost("small", 3, 2, "MiB", "x | y", "make bench")
	var out strings.Builder
	tb.print(&out)
	for _, want := range []string{"| fast | 3.00 × | ≥ 2.00 × | yes |", "| small | 3 MiB | ≤ 2 MiB | **no** | x \\| y |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}

func TestFiguresOfTheLivePromiseAreReadFromTheirTests(t *testing.T) {
	t.Parallel()
	b := &bench{}
	promises := livePromise.FindAllStringSubmatch("    x.go:1: promise: clinc150 with out of scope: certified, reviewers known: live error above 5 % in 1.5 % of 200 deployments, automated 60.1 %\n", -1)
	drifts := liveDrift.FindAllStringSubmatch("    x.go:1: drift: davidson, validation to test (no drift), promise 5 %: automated 82 %, true error of the worse side 2.4 % before and 2.6 % after; of 187 streams stopped 0 before, 0 within 400 audits after (median 0), 2 within 800; 0 kept their promise\n"+
		"    x.go:1: drift: tweeteval_hate, validation to test, promise 25 %: automated 69 %, true error of the worse side 20.6 % before and 50.0 % after; of 200 streams stopped 0 before, 196 within 400 audits after (median 81), 196 within 800; 4 kept their promise\n", -1)
	if err := errors.Join(b.addPromises(promises, "x"), b.addDrifts(drifts, "x")); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	b.table.print(&out)
	for _, want := range []string{"certified, reviewers known | 1.5 % | ≤ 5 % + 4.6 % sampling error | yes | 200 deployments, automated 60.1 %", "(no drift) | 1.1 % | ≤ 5 % | yes", "validation to test | 100.0 % | 100 % | yes | promise 25 %"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}
