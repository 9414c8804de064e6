package pace

import (
	"runtime"
	"testing"
	"time"
)

// machine is a clock and a processor that tests move.
type machine struct {
	at        time.Time
	used      time.Duration
	idle, all uint64
	others    float64 // share of the machine that something else uses
}

func (m *machine) pace() *Pace {
	return &Pace{now: func() time.Time { return m.at }, cpu: func() time.Duration { return m.used }, machine: func() (uint64, uint64) { return m.idle, m.all }}
}

// pass lets time pass in which so many decisions a second were asked for and that share of all processors was used, and returns what Busy says.
func (m *machine) pass(p *Pace, d time.Duration, rate, share float64) bool {
	m.at = m.at.Add(d)
	m.used += time.Duration(share * float64(d) * float64(runtime.GOMAXPROCS(0)))
	m.all += uint64(d.Microseconds())
	m.idle += uint64(float64(d.Microseconds()) * max(0, 1-share-m.others))
	p.Asked(int(rate * d.Seconds()))
	return p.Busy()
}

func TestItIsBusyWhileCallersUseTheProcessors(t *testing.T) {
	t.Parallel()
	m := &machine{at: time.Now()}
	p := m.pace()
	const moment = 50 * time.Millisecond
	p.Busy()
	for _, step := range []struct {
		rate, share float64
		want        bool
	}{
		{0, 0, false},
		{5000, 0.9, true},
		{5000, 0.2, false}, // enough of the processors is left
		{5000, 0.6, true},
		{20, 1, false}, // something else uses them
		{0, 1, false},
		{300, 1, true},
	} {
		if got := m.pass(p, moment, step.rate, step.share); got != step.want {
			t.Errorf("%v decisions a second, %v of the processors: busy is %v", step.rate, step.share, got)
		}
	}
	m.others = 0.8
	m.pass(p, moment, 5000, 0.1)
	if !m.pass(p, moment, 5000, 0.1) {
		t.Error("others use the machine, and callers wait for it")
	}
	if m.pass(p, moment, 10, 0.1) {
		t.Error("nobody asks")
	}
	m.others = 0
	m.pass(p, moment, 300, 1)
	if !m.pass(p, time.Millisecond, 0, 0) {
		t.Error("an answer is not good for a moment")
	}
	if m.pass(p, time.Minute, 5000, 1) {
		t.Error("the last minute says nothing about now")
	}
	var none *Pace
	none.Asked(1)
	if none.Busy() || none.Count() != 0 {
		t.Error("nobody is busy")
	}
}

func TestProcessorTimeIsMeasured(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("not known there")
	}
	before, deadline := processorTime(), time.Now().Add(10*time.Second)
	for processorTime() < before+10*time.Millisecond {
		if time.Now().After(deadline) {
			t.Fatal("ten seconds of work took no processor time")
		}
	}
}
