package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// Log is the event stream as a sink reads it.
type Log interface {
	WaitReady(ctx context.Context) error
	// Identity changes when the stream is made anew, so that it counts from 1 again.
	Identity(ctx context.Context) (string, error)
	Bounds(ctx context.Context) (bus.Bounds, error)
	Follow(ctx context.Context, from bus.Position, filters []string, idle time.Duration, fn func(ctx context.Context, batch []bus.Delivery) error) error
}

// Sink carries the event stream into the lake. Where it goes on is said by the lake alone: a sink may be killed at any moment, and several may run. While the lake
// cannot be written, the sink waits and reads no further: the stream keeps what comes.
type Sink struct {
	Log   Log
	Lake  *lake.Lake
	Flush time.Duration // how long an event may wait for others
	Slog  *slog.Logger
	// Busy says whether callers use the processors: then events may wait for twice as long, and are written together. Nil for never.
	Busy func() bool
}

const (
	// What is collected at most before it is written, whatever Flush says.
	maxRows  = 50_000
	maxBytes = 16 << 20

	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

var filters = []string{"switchyard.*.decisions", "switchyard.*.verdicts", "switchyard.*.feedback", "switchyard.*.deployments"}

// Run carries events until the context ends or the stream is closed, and then returns nil.
func (s *Sink) Run(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := s.session(ctx)
		if ctx.Err() != nil || errors.Is(err, bus.ErrClosed) {
			return nil //nolint:nilerr // both are how a sink is meant to end
		}
		s.Slog.WarnContext(ctx, "the sink begins again", "error", err, "in", pause)
		sleep(ctx, pause)
	}
}

// session follows the stream from where the lake ends.
func (s *Sink) session(ctx context.Context) error {
	if err := s.Log.WaitReady(ctx); err != nil {
		return err
	}
	id, err := s.Log.Identity(ctx)
	if err != nil {
		return err
	}
	if err := s.Lake.Refresh(ctx); err != nil {
		return err
	}
	c := &collector{sink: s, stream: id, rows: newWireRows()}
	c.begin(s.Lake.State().WatermarkOf(id))
	// Often enough that nothing waits much longer than it may.
	return s.Log.Follow(ctx, bus.Position{Seq: c.batch.After + 1}, filters, max(50*time.Millisecond, s.Flush/5), c.take)
}

// collector makes batches for the lake of those of the stream.
type collector struct {
	sink   *Sink
	stream string
	batch  *lake.Batch
	since  time.Time // when the first message of the batch came
	bytes  int

	rows    *wireRows
	records []lake.Record // used again by the next batch
	memory  arena
}

func (c *collector) begin(after uint64) {
	if c.batch != nil {
		c.records = c.batch.Records
	}
	clear(c.records)
	c.batch = &lake.Batch{Stream: c.stream, After: after, Last: after, Records: c.records[:0], Decode: c.decode}
	c.bytes = 0
	c.memory.reset()
}

// arena holds the bytes of many records in few pieces.
type arena struct {
	pieces [][]byte
	used   int // pieces; those after them are empty
}

const (
	arenaPiece = 256 << 10
	// arenaKeep is how many pieces stay for the next batch.
	arenaKeep = 8
)

func (a *arena) keep(b []byte) []byte {
	if len(b) > arenaPiece/8 {
		return bytes.Clone(b)
	}
	if a.used == 0 || len(a.pieces[a.used-1])+len(b) > arenaPiece {
		if a.used == len(a.pieces) {
			a.pieces = append(a.pieces, make([]byte, 0, arenaPiece))
		}
		a.used++
	}
	piece := &a.pieces[a.used-1]
	at := len(*piece)
	*piece = append(*piece, b...)
	return (*piece)[at:len(*piece):len(*piece)]
}

func (a *arena) reset() {
	for i := range a.pieces {
		a.pieces[i] = a.pieces[i][:0]
	}
	if len(a.pieces) > arenaKeep {
		clear(a.pieces[arenaKeep:])
		a.pieces = a.pieces[:arenaKeep]
	}
	a.used = 0
}

// take adds messages to the batch, and writes it when it is old or large enough.
func (c *collector) take(ctx context.Context, messages []bus.Delivery) error {
	if len(messages) > 0 && messages[0].Seq > c.batch.Last+1 {
		if err := c.findLost(ctx, messages[0].Seq); err != nil {
			return err
		}
	}
	for i := range messages {
		if c.batch.Last == c.batch.After {
			c.since = time.Now()
		}
		c.add(ctx, &messages[i])
	}
	full := c.batch.Rows() >= maxRows || c.bytes >= maxBytes
	if c.batch.Last == c.batch.After || !full && !c.due() {
		return nil
	}
	return c.write(ctx)
}

// due says whether the batch is old enough to be written.
func (c *collector) due() bool {
	age, flush := time.Since(c.since), c.sink.Flush*4/5
	return age >= flush && (age >= 2*flush || c.sink.Busy == nil || !c.sink.Busy())
}

// findLost notes what the stream dropped before it was read: it drops its oldest messages when it is full, whether or not they were read.
func (c *collector) findLost(ctx context.Context, next uint64) error {
	b, err := c.sink.Log.Bounds(ctx)
	if err != nil {
		return err
	}
	if first := min(b.First, next); first > c.batch.Last+1 {
		lost := lake.Range{First: c.batch.Last + 1, Last: first - 1}
		c.batch.Lost = append(c.batch.Lost, lost)
		c.sink.Slog.ErrorContext(ctx, "the stream has dropped messages before the lake had them", "first", lost.First, "last", lost.Last)
	}
	return nil
}

// add turns a message into a row. One that cannot be read is counted: it stays in the stream for whoever looks into it.
func (c *collector) add(ctx context.Context, d *bus.Delivery) {
	c.batch.Last = d.Seq
	c.bytes += len(d.Data)
	if err := c.row(d); err != nil {
		c.batch.Skipped++
		c.sink.Slog.ErrorContext(ctx, "an event cannot be read, so it is not in the lake", "id", d.ID, "sequence", d.Seq, "error", err)
	}
}

func (c *collector) row(d *bus.Delivery) error {
	if project, kind, _ := strings.Cut(strings.TrimPrefix(d.Subject, bus.Stream+"."), "."); kind == lake.Decisions {
		return c.record(d, project)
	}
	e := cloudevent.Parse(d.Subject, d.EventID, d.Header, d.Time)
	b := c.batch
	switch e.Kind {
	case lake.Verdicts:
		v := &reviewv1.Verdict{}
		if err := proto.Unmarshal(d.Data, v); err != nil {
			return err
		}
		row := verdictRow(v, d.Seq)
		row.Project, row.Time = e.Project, orElse(row.Time, e.Time)
		b.Verdicts = append(b.Verdicts, row)
	case lake.FeedbackOf:
		f := &reviewv1.Feedback{}
		if err := proto.Unmarshal(d.Data, f); err != nil {
			return err
		}
		row := feedbackRow(f, d.Seq)
		row.Project, row.Time = e.Project, orElse(row.Time, e.Time)
		b.Feedback = append(b.Feedback, row)
	case lake.Deployments:
		m := &modelsv1.DeploymentChange{}
		if err := proto.Unmarshal(d.Data, m); err != nil {
			return err
		}
		row, err := deploymentRow(m, e.ID, d.Seq)
		if err != nil {
			return err
		}
		row.Project, row.Time = e.Project, orElse(row.Time, e.Time)
		b.Deployments = append(b.Deployments, row)
	}
	return nil
}

// record takes a decision in as it is; it becomes a row when the batch is written.
func (c *collector) record(d *bus.Delivery, project string) error {
	r, err := recordOf(d.Data)
	if err != nil {
		return err
	}
	if r.Project != project || r.Key == "" || r.Time.Year() < 2000 {
		return fmt.Errorf("record of project %q with the id %q and the time %v", r.Project, r.Key, r.Time)
	}
	r.Project, r.Seq, r.Data = c.rows.again([]byte(project)), d.Seq, c.memory.keep(d.Data)
	c.batch.Records = append(c.batch.Records, r)
	return nil
}

// decode makes the row of a record when it is written.
func (c *collector) decode(r *lake.Record, into *lake.Decision) error {
	err := c.rows.decision(r, into)
	if err != nil {
		c.sink.Slog.Error("a decision cannot be read, so it is not in the lake", "id", r.Key, "sequence", r.Seq, "error", err)
	}
	return err
}

// write appends the batch, however long that takes.
func (c *collector) write(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := c.sink.Lake.Append(ctx, c.batch)
		if err == nil {
			c.begin(c.batch.Last)
			return nil
		}
		if errors.Is(err, lake.ErrGap) || ctx.Err() != nil {
			return err
		}
		c.sink.Slog.WarnContext(ctx, "the lake cannot be written; the stream keeps what comes", "rows", c.batch.Rows(), "error", err, "next_attempt_in", pause)
		sleep(ctx, pause)
	}
}

func orElse(t, other time.Time) time.Time {
	if t.IsZero() || t.Year() < 2000 {
		return other.UTC().Truncate(time.Microsecond)
	}
	return t
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
