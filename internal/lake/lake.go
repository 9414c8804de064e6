// Package lake keeps decisions, verdicts, feedback and deployments as Parquet files in a folder or a bucket, for this product and for every tool that reads Parquet.
//
// Files are grouped by project, table and day; a log of manifest entries says which files count. An entry is one atomic commit, and an append names the part of the event
// stream that it took: the next one begins where it ended. So however often a writer is killed, and however many write at once, every message is in the lake once.
// The lake knows rows, not messages; docs/adr/0012-lake-commits.md says why it commits like this.
package lake

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config says where the lake is and how it is kept.
type Config struct {
	// URL of the lake: "" for the folder "lake" in the data folder, a path of another folder, or s3://bucket/prefix. Everything under the prefix is the lake's.
	URL string `yaml:"url"`
	// S3 says how the bucket is reached.
	S3 S3Config `yaml:"s3"`
	// Flush is how long an event may wait until it is written. From 100 ms; default 5 s.
	Flush time.Duration `yaml:"flush"`
	// Retention is how long rows are kept, by project; "*" is for all others. Whole days go, when their last row is that old. Default: for ever.
	Retention map[string]time.Duration `yaml:"retention"`
	// Grace is how long a file is kept after a compaction has replaced it, for those who are reading it. From 1 s; default 1 min.
	Grace time.Duration `yaml:"grace"`
}

// Default returns a lake in the data folder that keeps everything.
func Default() Config { return Config{Flush: 5 * time.Second, Grace: time.Minute} }

// Validate returns all that is wrong with the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Flush < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("flush is %v, at least 100ms", c.Flush))
	}
	if c.Grace < time.Second {
		errs = append(errs, fmt.Errorf("grace is %v, at least 1s", c.Grace))
	}
	for project, d := range c.Retention {
		if d < 24*time.Hour {
			errs = append(errs, fmt.Errorf("retention of %s is %v, at least 24h", project, d))
		}
	}
	return errors.Join(append(errs, c.S3.validate())...)
}

// Lake is an open lake. Its methods may be called from many goroutines.
type Lake struct {
	store  Store
	cfg    Config
	log    *slog.Logger
	now    func() time.Time
	state  atomic.Pointer[State]
	mu     sync.Mutex // one refresh or commit at a time
	looked time.Time  // when the manifest was last listed or followed
	listed time.Time  // when it was last listed
	files  openFiles
	wrote  written
}

// Open reads what is in a store.
func Open(ctx context.Context, store Store, c Config, log *slog.Logger) (*Lake, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &Lake{store: store, cfg: c, log: log, now: time.Now}
	s, err := load(ctx, store)
	if err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	l.state.Store(s)
	return l, nil
}

// State returns what the lake held when it was last looked at. It must not be changed.
func (l *Lake) State() *State { return l.state.Load() }

// Refresh takes in what others have committed. It costs one read of an object that is usually not there.
func (l *Lake) Refresh(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refresh(ctx)
}

func (l *Lake) refresh(ctx context.Context) error {
	s, moved, err := follow(ctx, l.store, l.state.Load())
	if err != nil {
		return err
	}
	if now := l.now(); !moved && now.Sub(l.listed) > listEvery {
		// Either nobody has written, or so much was written that the next entry is pruned. Then there is a later checkpoint.
		latest, err := load(ctx, l.store)
		if err != nil {
			return err
		}
		if l.listed = now; latest.Number > s.Number {
			s = latest
		}
	}
	l.looked = l.now()
	l.state.Store(s)
	return nil
}

const (
	// An entry is pruned a day after it was written, so whoever has looked at the manifest within that time finds the next one.
	listEvery = time.Hour
	// A commit looks again when its last look is older: under a number whose entry is pruned it would succeed and split the log.
	lookEvery = time.Hour
)

// follow reads the entries after a state.
func follow(ctx context.Context, store Store, s *State) (_ *State, moved bool, err error) {
	for {
		name := entryName(s.Number + 1)
		data, err := store.Read(ctx, name)
		if errors.Is(err, ErrNotFound) {
			return s, moved, nil
		}
		if err != nil {
			return nil, false, err
		}
		if s, err = step(s, name, data); err != nil {
			return nil, false, err
		}
		moved = true
	}
}

// step applies an entry as it was read.
func step(s *State, name string, data []byte) (*State, error) {
	var e Entry
	if err := unseal(name, data, &e); err != nil {
		return nil, err
	}
	n, err := s.apply(&e, hashOf(data))
	if err != nil {
		return nil, &DamageError{Object: name, Reason: err.Error()}
	}
	return n, nil
}

// load reads the newest checkpoint and the entries after it.
func load(ctx context.Context, store Store) (*State, error) {
	newest := uint64(0)
	err := store.List(ctx, manifestDir, func(o Object) error {
		if n, checkpoint, ok := manifestNumber(o.Name); ok && checkpoint {
			newest = max(newest, n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := newState()
	if newest > 0 {
		name := checkpointName(newest)
		data, err := store.Read(ctx, name)
		if err != nil {
			return nil, err
		}
		if s, err = openCheckpoint(name, data); err != nil {
			return nil, err
		}
	}
	s, _, err = follow(ctx, store, s)
	return s, err
}

func openCheckpoint(name string, data []byte) (*State, error) {
	s := newState()
	if err := unseal(name, data, s); err != nil {
		return nil, err
	}
	for path, f := range s.Files {
		if err := f.fromPath(); err != nil || f.Path != path {
			return nil, &DamageError{Object: name, Reason: fmt.Sprintf("%q is no path of a data file", path)}
		}
	}
	if s.Removed == nil {
		s.Removed = map[string]time.Time{}
	}
	return s, nil
}

// checkpointEvery is how many entries lie between two checkpoints: as many are read at most at a start.
const checkpointEvery = 64

// commit makes a change of the lake. build gets the present state and returns the entry, of which commit fills in what every entry has, or nil when there is nothing
// to do. When somebody else was faster, build is called again with what they made.
func (l *Lake) commit(ctx context.Context, build func(*State) (*Entry, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.now().Sub(l.looked) > lookEvery {
			if err := l.refresh(ctx); err != nil {
				return err
			}
		}
		s := l.state.Load()
		e, err := build(s)
		if err != nil || e == nil {
			return err
		}
		e.Number, e.Previous, e.Nonce, e.Time = s.Number+1, s.Hash, rand.Text()[:12], l.now().UTC().Truncate(time.Microsecond)
		name := entryName(e.Number)
		data, err := seal(e)
		if err != nil {
			return err
		}
		n, err := s.apply(e, hashOf(data))
		if err != nil {
			return err
		}
		err = l.store.Create(ctx, name, data)
		if errors.Is(err, ErrExists) {
			// It may be this very entry, when the answer to an earlier attempt of the store's own was lost.
			have, readErr := l.store.Read(ctx, name)
			if readErr != nil {
				return readErr
			}
			if string(have) == string(data) {
				err = nil
			} else if err := l.refresh(ctx); err != nil {
				return err
			} else {
				continue
			}
		}
		if err != nil {
			// Whether it was written is not known; the next refresh shows it.
			return fmt.Errorf("commit: %w", err)
		}
		l.state.Store(n)
		if n.Number%checkpointEvery == 0 {
			l.checkpoint(ctx, n)
		}
		return nil
	}
}

// checkpoint writes a state. Without it the next start reads more entries, so its failure is only logged.
func (l *Lake) checkpoint(ctx context.Context, s *State) {
	data, err := seal(s)
	if err == nil {
		err = l.store.Create(ctx, checkpointName(s.Number), data)
	}
	if err != nil && !errors.Is(err, ErrExists) {
		l.log.Warn("lake checkpoint not written", "number", s.Number, "error", err)
	}
}
