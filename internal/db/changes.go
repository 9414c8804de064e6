package db

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// changeSteps are the tables of this package itself. Of each thing that changed the newest change counts: the table is as long as there are
// things, not changes.
var changeSteps = []string{
	`CREATE TABLE changes (
		topic    TEXT   NOT NULL,
		name     TEXT   NOT NULL,
		revision BIGINT NOT NULL UNIQUE,
		PRIMARY KEY (topic, name)
	)`,
}

// changesPage is how many changes are read at once.
const changesPage = 1000

// Changed says that what the name stands for, such as the rules of a project, changes with this transaction. Other processes that [DB.Follow]
// the topic hear of it.
func (t *Tx) Changed(topic, name string) error {
	var before, revision int64
	_, err := t.Get(`SELECT revision FROM changes WHERE topic = ? AND name = ?`, []any{topic, name}, &before)
	if err == nil {
		_, err = t.Get(`INSERT INTO changes (topic, name, revision) VALUES (?, ?, (SELECT COALESCE(MAX(revision), 0) + 1 FROM changes))
			ON CONFLICT (topic, name) DO UPDATE SET revision = excluded.revision RETURNING revision`, []any{topic, name}, &revision)
	}
	if err != nil {
		return fmt.Errorf("note the change of %s %s: %w", topic, name, err)
	}
	if t.changed == nil {
		t.changed = map[int64]int64{}
	}
	t.changed[revision] = before
	return nil
}

// Follow calls fn with the names that other processes have changed since Follow was called, at most the poll interval later, until the
// database is closed. Call it before reading what changes, so that nothing falls in between. Names for which fn fails are handed to it again.
// What this process changes itself it knows already, unless the answer to its commit was lost.
func (d *DB) Follow(ctx context.Context, topic string, fn func(ctx context.Context, names []string) error) error {
	f := &d.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop == nil {
		err := d.View(ctx, func(tx *Tx) error {
			_, err := tx.Get(`SELECT COALESCE(MAX(revision), 0) FROM changes`, nil, &f.seen)
			return err
		})
		if err != nil {
			return fmt.Errorf("follow %s: %w", topic, err)
		}
		running, stop := context.WithCancel(context.WithoutCancel(ctx))
		f.stop = stop
		f.running.Go(func() { d.poll(running) })
	}
	f.topics = append(f.topics, &followed{topic: topic, fn: fn, waiting: map[string]bool{}})
	return nil
}

// follower looks for changes of others.
type follower struct {
	mu      sync.Mutex
	topics  []*followed
	own     map[int64]int64 // revisions that this process made and has not read yet → the revision of the same thing before
	stop    context.CancelFunc
	running sync.WaitGroup

	seen   int64 // the newest revision that was read; after the first Follow only poll uses it
	failed bool
}

// followed is one call of Follow.
type followed struct {
	topic   string
	fn      func(ctx context.Context, names []string) error
	waiting map[string]bool // names to hand over; only poll uses it
}

// commit commits a transaction and notes what it changed. Nothing is read in between: what this process did would look like another's.
func (f *follower) commit(revisions map[int64]int64, commit func() error) error {
	if len(revisions) == 0 {
		return commit()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := commit(); err != nil || f.stop == nil {
		return err
	}
	if f.own == nil {
		f.own = map[int64]int64{}
	}
	maps.Copy(f.own, revisions)
	return nil
}

func (f *follower) close() {
	f.mu.Lock()
	stop := f.stop
	f.mu.Unlock()
	if stop != nil {
		stop()
		f.running.Wait()
	}
}

func (d *DB) poll(ctx context.Context) {
	tick := time.NewTicker(d.pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := d.readChanges(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !d.follower.failed { // once an outage, not once a second
			d.log.WarnContext(ctx, "changes of other processes are not seen", "error", err)
		}
		d.follower.failed = err != nil
		d.handOver(ctx)
	}
}

// change is a row of changes.
type change struct {
	topic, name string
	revision    int64
}

// readChanges notes who has to hear what.
func (d *DB) readChanges(ctx context.Context) error {
	f := &d.follower
	for {
		var page []change
		err := d.View(ctx, func(tx *Tx) error {
			return tx.Each(`SELECT topic, name, revision FROM changes WHERE revision > ? ORDER BY revision LIMIT ?`, []any{f.seen, changesPage},
				func(scan func(...any) error) error {
					var c change
					err := scan(&c.topic, &c.name, &c.revision)
					page = append(page, c)
					return err
				})
		})
		if err != nil {
			return err
		}
		f.read(page)
		if len(page) < changesPage {
			return nil
		}
	}
}

func (f *follower) read(page []change) {
	if len(page) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range page {
		if f.known(c.revision) {
			continue
		}
		for _, t := range f.topics {
			if t.topic == c.topic {
				t.waiting[c.name] = true
			}
		}
	}
	f.seen = page[len(page)-1].revision
	maps.DeleteFunc(f.own, func(r, _ int64) bool { return r <= f.seen })
}

// known says whether this process knows the state of a thing at that revision: it was read, or made here from a state that was known. A change of
// our own that came after an unread one of another process hides that one in the table, and must not hide it from us.
func (f *follower) known(revision int64) bool {
	for revision > f.seen {
		before, own := f.own[revision]
		if !own {
			return false
		}
		revision = before
	}
	return true
}

// handOver calls the followers that have something to hear.
func (d *DB) handOver(ctx context.Context) {
	f := &d.follower
	f.mu.Lock()
	topics := slices.Clone(f.topics)
	f.mu.Unlock()
	for _, t := range topics {
		if len(t.waiting) == 0 {
			continue
		}
		names := slices.Sorted(maps.Keys(t.waiting))
		if err := t.fn(ctx, names); err != nil {
			if ctx.Err() == nil {
				d.log.WarnContext(ctx, "a change of another process is not followed yet", "topic", t.topic, "error", err)
			}
			continue
		}
		clear(t.waiting)
	}
}
