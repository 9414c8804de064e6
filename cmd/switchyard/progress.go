package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
)

// progress shows on a terminal what is going on, on one line that is written over; elsewhere a line for each step.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	quiet    bool
	terminal bool
	open     bool // a line stands that is to be written over
	stage    string
}

func newProgress(w io.Writer, quiet bool) *progress {
	r, ok := w.(io.Reader)
	return &progress{w: w, quiet: quiet, terminal: ok && isTerminal(r)}
}

// say begins a step.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	p.endLine()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// event shows one report of the training.
func (p *progress) event(e fit.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	text := fmt.Sprintf("%s %3.0f %% %s", e.Stage, 100*e.Done, e.Message)
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		p.open = true
		return
	}
	if e.Stage != p.stage {
		p.stage = e.Stage
		fmt.Fprintln(p.w, text)
	}
}

// rejected says which rows could not be used, and why; that is never quiet.
func (p *progress) rejected(path string, set *dataset.Set) {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := 0
	for _, n := range set.RejectedByReason {
		total += n
	}
	if total == 0 {
		return
	}
	p.endLine()
	fmt.Fprintf(p.w, "%s: %d rows cannot be used, %d can\n", path, total, len(set.Rows))
	for _, r := range set.Rejected {
		fmt.Fprintf(p.w, "  %s\n", r)
	}
	if more := total - len(set.Rejected); more > 0 {
		fmt.Fprintf(p.w, "  and %d more\n", more)
	}
}

func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLine()
}

func (p *progress) endLine() {
	if p.open {
		fmt.Fprintln(p.w)
		p.open = false
	}
}
