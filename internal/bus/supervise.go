package bus

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// supervise brings the bus up, watches it, and brings it up again, until the context ends.
func (b *Bus) supervise(ctx context.Context, began time.Time) {
	defer close(b.done)
	defer b.up(false)
	for pause := 20 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 2*time.Second) {
		if err := b.bringUp(ctx); err != nil {
			if ctx.Err() != nil {
				return // it was closed while it started
			}
			b.note(err)
			b.log.Warn("bus is not up", "error", err, "next_attempt_in", pause)
			sleep(ctx, pause)
			continue
		}
		b.mu.Lock()
		if b.stats.StartTime == 0 {
			b.stats.StartTime = time.Since(began)
		}
		b.mu.Unlock()
		b.streak.Store(0)
		b.up(true)
		since := time.Now()
		reason := b.watch(ctx)
		b.up(false)
		if reason == "" {
			return
		}
		b.log.Error("bus is restarted", "reason", reason)
		if b.srv.stop() {
			b.mu.Lock()
			b.stats.Restarts++
			b.mu.Unlock()
		}
		if time.Since(since) > 10*time.Second {
			pause = 20 * time.Millisecond
		} else {
			sleep(ctx, pause) // a store that fails again at once, such as on a full disk, is not restarted without pause
		}
	}
}

// bringUp starts the embedded server where there is none and makes sure of the stream.
func (b *Bus) bringUp(ctx context.Context) error {
	if b.cfg.URL == "" {
		if err := unseal(b.dir); err != nil {
			return err
		}
		if err := b.srv.start(b.dir, b.cfg, b.log); err != nil {
			return err
		}
	}
	// A cluster that has no leader yet does not answer: asking again soon is better than waiting long.
	ctx, cancel := context.WithTimeout(ctx, min(b.cfg.AckTimeout, 2*time.Second))
	defer cancel()
	for !b.nc.IsConnected() {
		if sleep(ctx, 2*time.Millisecond); ctx.Err() != nil {
			return errors.Join(errors.New("connect"), b.nc.LastError(), ctx.Err())
		}
	}
	if _, err := b.js.CreateOrUpdateStream(ctx, b.streamConfig()); err != nil || b.cfg.URL == "" {
		return err
	}
	return b.heard(ctx)
}

// heard waits until the node that we are connected to knows the way to the stream. A new stream has its leader before the other nodes have heard
// of it, and until then they answer that nobody is there. What is published here expects a state that never is: it is answered, and not stored.
func (b *Bus) heard(ctx context.Context) error {
	_, err := b.js.Publish(ctx, "switchyard.probe.ready", nil, jetstream.WithExpectLastSequence(math.MaxInt64), jetstream.WithRetryAttempts(100),
		jetstream.WithRetryWait(10*time.Millisecond))
	if _, ok := errors.AsType[*jetstream.APIError](err); ok {
		return nil
	}
	return err
}

func (b *Bus) streamConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: Stream, Subjects: []string{Subjects}, Description: "events of all projects",
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxBytes: b.cfg.MaxBytes, MaxAge: b.cfg.MaxAge, MaxMsgSize: b.cfg.MessageBytes,
		Replicas: b.cfg.Replicas, Duplicates: b.cfg.duplicates(),
		AllowDirect: true,
		// Publishing a batch as one unit costs one fsync instead of one per message.
		AllowAtomicPublish: true,
	}
}

// watch returns why the server has to be restarted, or "" when the context ended. A cluster mends itself; there the connection is all that matters.
func (b *Bus) watch(ctx context.Context) string {
	probe := time.NewTicker(b.cfg.ProbeInterval)
	defer probe.Stop()
	for {
		select {
		case <-ctx.Done():
			return ""
		case reason := <-b.sick:
			if b.cfg.URL == "" {
				return reason
			}
		case <-probe.C:
			if b.cfg.URL != "" {
				b.up(b.nc.IsConnected())
			} else if reason := b.srv.illness(); reason != "" {
				return reason
			}
		}
	}
}

// report asks the watchdog to restart the server.
func (b *Bus) report(reason string) {
	select {
	case b.sick <- reason:
	default:
	}
}

// sleep waits, but not longer than the context lasts.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
