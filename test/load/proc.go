package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc; Linux reports 100 a second on every platform that matters here.
const tick = 10 * time.Millisecond

// cpuTime returns the processor time that a process has used.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in brackets may hold blanks; fields count from behind it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err
}

// quiet waits until a process rests: what it put off during one window must not slow down, or hide from, the next. It returns how
// long that took.
func quiet(ctx context.Context, pid int) (time.Duration, error) {
	const look, limit = 100 * time.Millisecond, 30 * time.Second
	start := time.Now()
	last, err := cpuTime(pid)
	for err == nil && time.Since(start) < limit {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(look):
		}
		var now time.Duration
		if now, err = cpuTime(pid); now-last <= tick {
			break
		}
		last = now
	}
	return time.Since(start), err
}

// meter watches the server of one side: how much processor time its calls take, and how long it works on when the calls have ended.
type meter struct {
	pid     int // 0 watches nothing
	cpu     time.Duration
	calls   float64
	drained time.Duration // the longest wait
	rss     float64       // MiB, the most after a window
}

// measure returns the side, watched. It lets the server come to rest afterwards: work that was only put off would otherwise fall into
// the other side's time.
func (m *meter) measure(s side) side {
	if m.pid == 0 {
		return s
	}
	return func(ctx context.Context, window time.Duration) (float64, error) {
		before, err := cpuTime(m.pid)
		if err != nil {
			return 0, err
		}
		start := time.Now()
		rate, err := s(ctx, window)
		if err != nil {
			return 0, err
		}
		m.calls += rate * time.Since(start).Seconds()
		took, err := quiet(ctx, m.pid)
		if err != nil {
			return 0, err
		}
		m.drained = max(m.drained, took)
		after, err := cpuTime(m.pid)
		m.cpu += after - before
		if used, err := memoryOf(m.pid); err == nil {
			m.rss = max(m.rss, used.rss)
		}
		return rate, err
	}
}

// perCall is the processor time of the server for one call, in µs.
func (m *meter) perCall() float64 { return float64(m.cpu.Nanoseconds()) / 1000 / max(m.calls, 1) }

// cost says what a call costs the servers of both sides.
func cost(ours, theirs *meter) string {
	return fmt.Sprintf("; server's processor time %.0f : %.0f µs a call; at rest after %.1f s, %.0f MiB", ours.perCall(), theirs.perCall(), ours.drained.Seconds(), ours.rss)
}

// memory is what a process occupies, in MiB.
type memory struct{ rss, pss, private float64 }

// memoryOf reads how much memory a process occupies. PSS divides shared pages among those who share them; private pages are the process's own.
func memoryOf(pid int) (memory, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[2] != "kB" {
			continue
		}
		kib, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			continue
		}
		switch words[0] {
		case "Rss:":
			m.rss = kib / 1024
		case "Pss:":
			m.pss = kib / 1024
		case "Private_Clean:", "Private_Dirty:":
			m.private += kib / 1024
		}
	}
	return m, nil
}
