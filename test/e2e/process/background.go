package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Background is a command of the binary that goes on, such as a worker.
type Background struct {
	cmd    *exec.Cmd
	stderr safeBuffer
	done   chan struct{}
	err    error
}

// Spawn starts a command of the binary.
func Spawn(ctx context.Context, bin string, args ...string) (*Background, error) {
	b := &Background{cmd: exec.CommandContext(context.WithoutCancel(ctx), bin, args...), done: make(chan struct{})}
	b.cmd.Stderr = &b.stderr
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start switchyard %s: %w", strings.Join(args, " "), err)
	}
	go func() {
		b.err = b.cmd.Wait()
		close(b.done)
	}()
	return b, nil
}

// Stderr returns what the command has written so far.
func (b *Background) Stderr() string { return b.stderr.String() }

// Signal sends a signal.
func (b *Background) Signal(sig os.Signal) error { return b.cmd.Process.Signal(sig) }

// Wait waits for the end, but not longer than a time, and returns how it ended.
func (b *Background) Wait(most time.Duration) error {
	select {
	case <-b.done:
		return b.err
	case <-time.After(most):
		return errors.New("the command goes on")
	}
}

// Kill ends the process as kill -9 does and waits for its end.
func (b *Background) Kill() {
	_ = b.cmd.Process.Kill() // it may have ended
	<-b.done
}
