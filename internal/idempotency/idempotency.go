// Package idempotency keeps in SQL what calls with an idempotency key were answered, so that repeating a call gives the same answer, also after a
// crash. It does not know what the answers are: they come sealed.
//
// A key is reserved before its call is made and holds the answer afterwards. A reservation without an answer is that of a call that failed, is still
// running, or was cut off by a crash: the next call with the key is made anew, under the same seed, from which handlers take the ids of what they
// make. Where ids alone do not make a repetition harmless, a handler keeps its answer in the transaction that has the effect (internal/answer). What was half done
// is thus done once.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/switchyard-ai/switchyard/internal/answer"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/mesh"
)

const (
	// Keep is how long an answer is kept.
	Keep = 48 * time.Hour
	// pruneEvery is how often old answers are looked for, and pruneRows how many go in one transaction: others wait for it.
	pruneEvery = 10 * time.Minute
	pruneRows  = 1000
)

// steps are the migrations of the table.
var steps = []string{
	`CREATE TABLE idempotency_keys (
		project TEXT   NOT NULL,
		caller  TEXT   NOT NULL,
		sent    TEXT   NOT NULL,
		digest  BLOB   NOT NULL,
		seed    TEXT   NOT NULL,
		answer  BLOB,
		created BIGINT NOT NULL,
		PRIMARY KEY (project, caller, sent)
	);
	CREATE INDEX idempotency_keys_created ON idempotency_keys (created)`,
	// The persons whose data a call carried: 8 bytes of a hash each, none for most calls.
	`ALTER TABLE idempotency_keys ADD COLUMN subjects BLOB`,
}

// DB is where answers are kept; *db.DB is one.
type DB interface {
	Migrate(ctx context.Context, owner string, steps []string) error
	Tx(ctx context.Context, fn func(*db.Tx) error) error
	View(ctx context.Context, fn func(*db.Tx) error) error
}

var _ DB = (*db.DB)(nil)

// Store keeps answers. Its methods may be called from many goroutines.
type Store struct {
	db  DB
	now func() time.Time
	log *slog.Logger

	mu      sync.Mutex
	running map[mesh.IdempotencyKey]chan struct{} // closed when the call has ended
}

var _ mesh.IdempotencyStore = (*Store)(nil)

// New returns a store; a nil clock is time.Now, a nil logger discards. Call Start before it is used.
func New(d DB, now func() time.Time, log *slog.Logger) *Store {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Store{db: d, now: now, log: log, running: map[mesh.IdempotencyKey]chan struct{}{}}
}

// Start makes the table.
func (s *Store) Start(ctx context.Context) error { return s.db.Migrate(ctx, "idempotency", steps) } //nolint:wrapcheck // says it all

// Begin implements mesh.IdempotencyStore.
func (s *Store) Begin(ctx context.Context, key mesh.IdempotencyKey, digest [sha256.Size]byte, subjects []string) (mesh.Reservation, error) {
	release, err := s.enter(ctx, key)
	if err != nil {
		return mesh.Reservation{}, err
	}
	r := mesh.Reservation{IdempotencyKey: key, Release: release}
	err = s.db.Tx(ctx, func(tx *db.Tx) error { return s.reserve(tx, &r, digest, marksOf(key.Project, subjects)) })
	if err != nil || r.Answer != nil {
		release()
		r.Release = nil
	}
	return r, err //nolint:wrapcheck // a fault, or a defect that the transaction describes
}

// enter waits until no other call with the key runs in this process.
func (s *Store) enter(ctx context.Context, key mesh.IdempotencyKey) (release func(), err error) {
	for {
		s.mu.Lock()
		other, busy := s.running[key]
		if !busy {
			done := make(chan struct{})
			s.running[key] = done
			s.mu.Unlock()
			return sync.OnceFunc(func() { s.leave(key, done) }), nil
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Store) leave(key mesh.IdempotencyKey, done chan struct{}) {
	s.mu.Lock()
	delete(s.running, key)
	s.mu.Unlock()
	close(done)
}

func (s *Store) reserve(tx *db.Tx, r *mesh.Reservation, digest [sha256.Size]byte, subjects []byte) error {
	var known []byte
	var created int64
	now := s.now()
	found, err := tx.Get(`SELECT digest, seed, answer, created FROM idempotency_keys WHERE project = ? AND caller = ? AND sent = ?`,
		[]any{r.Project, r.Caller, r.Key}, &known, &r.Seed, &r.Answer, &created)
	if err != nil {
		return err
	}
	if found && now.Sub(db.Time(created)) < Keep {
		if !bytes.Equal(known, digest[:]) {
			return fault.IdempotencyKeyReused(r.Key)
		}
		r.Begun = r.Answer == nil
		return nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	r.Seed, r.Answer = id.String(), nil
	_, err = tx.Exec(`INSERT INTO idempotency_keys (project, caller, sent, digest, seed, answer, created, subjects) VALUES (?, ?, ?, ?, ?, NULL, ?, ?)
		ON CONFLICT (project, caller, sent) DO UPDATE SET digest = excluded.digest, seed = excluded.seed, answer = NULL, created = excluded.created,
		subjects = excluded.subjects`,
		r.Project, r.Caller, r.Key, digest[:], r.Seed, db.Micros(now), subjects)
	return err
}

// Finish implements mesh.IdempotencyStore.
func (s *Store) Finish(ctx context.Context, r mesh.Reservation, answer []byte) ([]byte, error) {
	counts := answer
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(`UPDATE idempotency_keys SET answer = ? WHERE project = ? AND caller = ? AND sent = ? AND seed = ? AND answer IS NULL`,
			answer, r.Project, r.Caller, r.Key, r.Seed)
		if err != nil || n == 1 {
			return err
		}
		var first []byte
		found, err := tx.Get(`SELECT answer FROM idempotency_keys WHERE project = ? AND caller = ? AND sent = ? AND answer IS NOT NULL`,
			[]any{r.Project, r.Caller, r.Key}, &first)
		if found {
			counts = first
		}
		return err
	})
	return counts, err //nolint:wrapcheck // a fault, or a defect that the transaction describes
}

// Keep implements mesh.IdempotencyStore.
func (*Store) Keep(tx answer.Tx, r mesh.Reservation, kept []byte) error {
	n, err := tx.Exec(`UPDATE idempotency_keys SET answer = ? WHERE project = ? AND caller = ? AND sent = ? AND seed = ? AND answer IS NULL`,
		kept, r.Project, r.Caller, r.Key, r.Seed)
	if err == nil && n != 1 {
		err = fault.Unavailable("idempotency key").Cause(fmt.Errorf("key %s was answered by another process meanwhile", r.Key))
	}
	return err //nolint:wrapcheck // the transaction's own
}

// Run forgets answers that are older than Keep, until the context ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.Prune(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("old idempotency keys stay", "error", err)
		}
	}
}

// Prune forgets answers that are older than Keep.
func (s *Store) Prune(ctx context.Context) error {
	for {
		var n int64
		err := s.db.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = tx.Exec(`DELETE FROM idempotency_keys WHERE (project, caller, sent) IN
				(SELECT project, caller, sent FROM idempotency_keys WHERE created < ? ORDER BY created LIMIT ?)`,
				db.Micros(s.now().Add(-Keep)), pruneRows)
			return err
		})
		if err != nil || n < pruneRows {
			return err //nolint:wrapcheck // logged by Run
		}
	}
}
