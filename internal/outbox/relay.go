package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// Publisher is what the relay needs of a bus: nil means that all messages are stored, any error that some may not be.
type Publisher interface {
	PublishBatch(ctx context.Context, msgs []bus.Msg) error
}

var _ Publisher = (*bus.Bus)(nil)

const (
	batchEvents = 500
	batchBytes  = 8 << 20

	// Another process that shares the database is not heard: its events are found by looking.
	lookInterval = time.Second

	firstPause = 10 * time.Millisecond
	lastPause  = 2 * time.Second
)

// Relay carries the events of one database to one bus. Several processes may run one each: events are then published more than once at times, and
// the bus and the inboxes of consumers recognise the ids.
type Relay struct {
	db  *db.DB
	pub Publisher
	log *slog.Logger

	mu    sync.Mutex
	stats Stats
}

// Stats are counts of a relay since it was made.
type Stats struct {
	Published uint64 // acknowledged and deleted events
	Failures  uint64 // reads, publishes and deletions that failed
	Refused   uint64 // events that the bus will never take and that were set aside
	LastError string // of the last failure; "" after the next success
}

// New returns a relay. A nil logger discards.
func New(d *db.DB, p Publisher, log *slog.Logger) *Relay {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Relay{db: d, pub: p, log: log}
}

// Stats returns the present counts.
func (r *Relay) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Lag returns how many events wait, and since when the oldest does.
func (r *Relay) Lag(ctx context.Context) (n int, oldest time.Time, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		var written int64
		_, err := tx.Get(`SELECT COUNT(*), COALESCE(MIN(written), 0) FROM outbox`, nil, &n, &written)
		oldest = db.Time(written)
		return err
	})
	return n, oldest, err
}

// Run carries events until the context ends, and then returns nil. A commit wakes it at once. While the bus or the database is away it tries again,
// with growing pauses, and nothing is deleted.
func (r *Relay) Run(ctx context.Context) error {
	heard, stop := r.db.Listen(topic)
	defer stop()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for pause := firstPause; ; {
		more, err := r.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			r.fail(err, pause)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
			pause = min(2*pause, lastPause)
		case more:
			pause = firstPause
		default:
			pause = firstPause
			select {
			case <-ctx.Done():
				return nil
			case <-heard:
			case <-look.C:
			}
		}
	}
}

// row is an event that waits.
type row struct {
	seq int64
	msg bus.Msg
}

// step carries one batch and says whether it carried anything.
func (r *Relay) step(ctx context.Context) (bool, error) {
	rows, err := r.read(ctx)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	msgs := make([]bus.Msg, len(rows))
	for i := range rows {
		msgs[i] = rows[i].msg
	}
	err = r.pub.PublishBatch(ctx, msgs)
	if errors.Is(err, bus.ErrRefused) {
		return true, r.oneByOne(ctx, rows)
	}
	if err != nil {
		return false, fmt.Errorf("outbox: %w", err)
	}
	return true, r.delete(ctx, rows)
}

// read collects the oldest events.
func (r *Relay) read(ctx context.Context) (rows []row, err error) {
	size := 0
	err = r.db.View(ctx, func(tx *db.Tx) error {
		rows, size = nil, 0
		err := tx.Each(`SELECT seq, subject, id, header, data FROM outbox WHERE seq > 0 ORDER BY seq LIMIT ?`, []any{batchEvents}, func(scan func(...any) error) error {
			var e row
			var header string
			if err := scan(&e.seq, &e.msg.Subject, &e.msg.ID, &header, &e.msg.Data); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(header), &e.msg.Header); err != nil {
				return fmt.Errorf("header of event %s: %w", e.msg.ID, err)
			}
			if size += len(e.msg.Data); size > batchBytes && len(rows) > 0 {
				return errEnough
			}
			rows = append(rows, e)
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("outbox: read: %w", err)
	}
	return rows, nil
}

var errEnough = errors.New("the batch is full")

// oneByOne finds the events that the bus will never take, so that they do not hold up those behind them. They stay in the table, with a
// negative number, for an operator.
func (r *Relay) oneByOne(ctx context.Context, rows []row) error {
	for i := range rows {
		err := r.pub.PublishBatch(ctx, []bus.Msg{rows[i].msg})
		if errors.Is(err, bus.ErrRefused) {
			r.log.Error("an event that the bus refuses is set aside in the outbox", "id", rows[i].msg.ID, "subject", rows[i].msg.Subject, "error", err)
			err = r.db.Tx(ctx, func(tx *db.Tx) error {
				_, err := tx.Exec(`UPDATE outbox SET seq = ? WHERE seq = ?`, -rows[i].seq, rows[i].seq)
				return err
			})
			if err == nil {
				r.mu.Lock()
				r.stats.Refused++
				r.mu.Unlock()
			}
		} else if err == nil {
			err = r.delete(ctx, rows[i:i+1])
		}
		if err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
	}
	return nil
}

// delete forgets events that were acknowledged. Numbers are handed out in the order of commits, so none can appear between those that were read.
func (r *Relay) delete(ctx context.Context, rows []row) error {
	err := r.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`DELETE FROM outbox WHERE seq BETWEEN ? AND ?`, rows[0].seq, rows[len(rows)-1].seq)
		return err
	})
	if err != nil {
		return fmt.Errorf("outbox: delete what was published: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Published += uint64(len(rows))
	r.stats.LastError = ""
	return nil
}

func (r *Relay) fail(err error, pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Failures++
	r.stats.LastError = err.Error()
	level := slog.LevelWarn
	if errors.Is(err, bus.ErrNotReady) {
		level = slog.LevelDebug // the bus logs by itself why
	}
	r.log.Log(context.Background(), level, "outbox waits", "error", err, "next_attempt_in", pause)
}

// encodeHeader writes headers as JSON.
func encodeHeader(h map[string][]string) (string, error) {
	if len(h) == 0 {
		return "{}", nil
	}
	b, err := json.Marshal(h)
	return string(b), err
}
