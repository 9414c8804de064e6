package ledger

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// StreamReader is the event stream as a verification reads it.
type StreamReader interface {
	Identity(ctx context.Context) (string, error)
	Bounds(ctx context.Context) (bus.Bounds, error)
	Read(ctx context.Context, from bus.Position, filters []string, fn func(bus.Delivery) error) error
}

// Check is what a service adds: it looks at its own tables.
type Check struct {
	Name string
	Run  func(ctx context.Context) (problems []error, looked int64, err error)
}

// Verifier walks everything that is recorded. Members that are nil are left out. It may run while everything goes on.
type Verifier struct {
	Journal *journal.Journal
	Stream  StreamReader
	Lake    *lake.Lake
	// Reviews is the queue that decisions become items of.
	Reviews Reviews
	Checks  []Check
	// Pace is called between pieces of work and may wait, so that a verification of years of records leaves the machine to those that decide; nil for full speed.
	Pace func(ctx context.Context) error
}

// Report is what a verification found. Problems name object, place and reason.
type Report struct {
	Problems []error
	Entries  int64 // of the journal
	Messages int64 // of the stream
	Objects  int64 // of the lake
	Rows     int64 // decisions in the lake
	Waiting  int64 // entries of the journal that are still to go to the stream
	Items    int64 // review items that were held against decisions
	Looked   map[string]int64
}

// Verify reads journal, stream and lake, and compares them with each other. An error means that something could not be read at all; what was found until then is in the
// report.
//
// Everything is held against what comes before it: each acknowledged decision of the journal has to be in the stream or the lake, each decision of the stream up to where
// the lake ends has to be in the lake, and each row of the lake that the stream still reaches has to be in the stream.
func (v Verifier) Verify(ctx context.Context) (*Report, error) {
	r := &Report{Looked: map[string]int64{}}
	for _, step := range []func(context.Context, *Report) error{v.journal, v.lake, v.compare} {
		if err := step(ctx, r); err != nil {
			return r, err
		}
	}
	for _, c := range v.Checks {
		problems, n, err := c.Run(ctx)
		if err != nil {
			return r, fmt.Errorf("check %s: %w", c.Name, err)
		}
		r.Problems = append(r.Problems, problems...)
		r.Looked[c.Name] = n
	}
	return r, nil
}

func (r *Report) problemf(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Errorf(format, args...))
}

func (v Verifier) journal(ctx context.Context, r *Report) error {
	if v.Journal == nil {
		return nil
	}
	err := v.Journal.Verify(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, e := range flatten(err) {
		r.problemf("journal: %w", e)
	}
	return nil
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}

func (v Verifier) lake(ctx context.Context, r *Report) error {
	if v.Lake == nil {
		return nil
	}
	problems, err := v.Lake.Verify(ctx, func(string) { r.Objects++ })
	for _, p := range problems {
		r.problemf("lake: %w", p)
	}
	for _, lost := range v.Lake.State().Lost {
		r.problemf("lake: messages %d to %d were dropped by the stream before the lake had them", lost.First, lost.Last)
	}
	return err
}

// places is a set of sequence numbers.
type places map[uint64]uint64

func (p places) add(n uint64)      { p[n/64] |= 1 << (n % 64) }
func (p places) has(n uint64) bool { return p[n/64]&(1<<(n%64)) != 0 }

func (v Verifier) compare(ctx context.Context, r *Report) error {
	handedOn, err := v.handedOn(ctx, r)
	if err != nil {
		return err
	}
	if v.Stream == nil {
		return nil
	}
	identity, err := v.Stream.Identity(ctx)
	if err != nil {
		return err
	}
	inLake, end := places{}, uint64(0)
	if v.Lake != nil {
		end = v.Lake.State().WatermarkOf(identity)
		if known := v.Lake.State().Stream; known != "" && end == 0 && known != identity {
			r.problemf("stream: it was made anew at %s; the lake was filled from another one, up to message %d", identity, v.Lake.State().Watermark)
		}
	}
	items, err := v.reviews(ctx)
	if err != nil {
		return err
	}
	type missing struct {
		id  string
		seq uint64
	}
	inStream := places{}
	if v.Lake != nil {
		err := v.Lake.Each(ctx, lake.Decisions, lake.Filter{}, func(row any) error {
			d := row.(*lake.Decision)
			inLake.add(uint64(d.StreamSeq))
			r.Rows++
			if err := items.row(ctx, r, d); err != nil {
				return err
			}
			return v.pace(ctx, r.Rows)
		})
		if damaged(err) {
			return nil // named already; the rest cannot be compared
		}
		if err != nil {
			return err
		}
	}
	var notInLake []missing
	var gaps gaps
	err = v.Stream.Read(ctx, bus.Position{}, nil, func(d bus.Delivery) error {
		r.Messages++
		gaps.see(d)
		inStream.add(d.Seq)
		k, ok := NewKey(projectOf(d.Subject), d.EventID)
		if !ok || d.Subject != k.subject() {
			return nil
		}
		delete(handedOn, k.ID)
		rec := &commonv1.DecisionRecord{}
		if err := proto.Unmarshal(d.Data, rec); err != nil {
			r.problemf("stream: message %d, decision %s, cannot be read: %w", d.Seq, k.ID, err)
			return nil
		}
		if err := items.message(ctx, r, d.Seq, rec); err != nil {
			return err
		}
		if d.Seq <= end && !inLake.has(d.Seq) {
			notInLake = append(notInLake, missing{k.Project + "/" + k.ID, d.Seq})
		}
		return v.pace(ctx, r.Messages)
	})
	if err != nil {
		return err
	}
	if err := gaps.report(ctx, v, r, inLake); err != nil {
		return err
	}
	for _, m := range notInLake {
		found, err := v.known(ctx, m.id)
		if err != nil {
			return err
		}
		if !found {
			r.problemf("lake: decision %s, message %d of the stream, is not in it", m.id, m.seq)
		}
	}
	for id, project := range handedOn {
		found, err := v.known(ctx, project+"/"+id)
		if err != nil {
			return err
		}
		if !found {
			r.problemf("stream: decision %s/%s was acknowledged and handed on by the journal, and is neither in the stream nor in the lake", project, id)
		}
	}
	if err := v.gone(ctx, r, inStream, end); err != nil {
		return err
	}
	return items.finish(ctx, r)
}

// paceEvery is how many rows or messages are read between two calls of Pace.
const paceEvery = 1000

func (v Verifier) pace(ctx context.Context, done int64) error {
	if v.Pace == nil || done%paceEvery != 0 {
		return nil
	}
	return v.Pace(ctx)
}

// gone names rows of the lake whose message the stream should still hold.
func (v Verifier) gone(ctx context.Context, r *Report, inStream places, end uint64) error {
	if v.Lake == nil || end == 0 {
		return nil
	}
	bounds, err := v.Stream.Bounds(ctx)
	if err != nil {
		return err
	}
	if v.Lake.State().Number == 0 {
		return nil
	}
	return v.Lake.Each(ctx, lake.Decisions, lake.Filter{}, func(row any) error {
		d := row.(*lake.Decision)
		// What came after the lake was looked at first may have come after the stream was read.
		if seq := uint64(d.StreamSeq); seq >= bounds.First && seq <= min(bounds.Last, end) && !inStream.has(seq) && d.ErasedAt.IsZero() {
			r.problemf("stream: message %d, decision %s/%s, is missing", seq, d.Project, d.DecisionID)
		}
		return nil
	})
}

// handedOn returns the decisions that the journal still holds although it has handed them on.
func (v Verifier) handedOn(ctx context.Context, r *Report) (map[string]string, error) {
	ids := map[string]string{}
	if v.Journal == nil {
		return ids, nil
	}
	// Read first and looked for afterwards: what is handed on meanwhile is in the stream when that is read.
	stats := v.Journal.Stats()
	r.Waiting = int64(stats.Last - stats.Released)
	err := v.Journal.Read(ctx, 0, func(e journal.Entry) error {
		r.Entries++
		if k, ok := NewKey(projectOf(e.Subject), e.ID); ok && e.Subject == k.subject() && e.Seq <= stats.Released {
			ids[k.ID] = k.Project
		}
		return nil
	})
	if _, ok := errors.AsType[*journal.DamageError](err); ok {
		err = nil // named already
	}
	return ids, err
}

// known says whether the lake holds a decision under another place, as a repetition does, or does not keep decisions that old.
func (v Verifier) known(ctx context.Context, name string) (bool, error) {
	if v.Lake == nil {
		return false, nil
	}
	project, id := name[:len(name)-37], name[len(name)-36:]
	_, err := v.Lake.FindDecision(ctx, project, id)
	if errors.Is(err, lake.ErrNotFound) {
		k, _ := NewKey(project, id)
		return v.Lake.Expired(project, k.Time), nil
	}
	if damaged(err) {
		return true, nil // named already
	}
	return err == nil, err
}

func damaged(err error) bool {
	_, ok := errors.AsType[*lake.DamageError](err)
	return ok
}

// projectOf returns the project in a subject.
func projectOf(subject string) string {
	const prefix = len("switchyard.")
	for i := prefix; i < len(subject); i++ {
		if subject[i] == '.' {
			return subject[prefix:i]
		}
	}
	return ""
}
