package lake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Batch is what was read of the stream in a row, without gaps: every message after After up to Last is in it, or is none of the lake's.
type Batch struct {
	Stream      string // which stream it is; another one counts from 1 again
	After, Last uint64
	Lost        []Range // parts that the stream did not hold any more
	Skipped     int64   // messages that belong to no table
	Decisions   []Decision
	Verdicts    []Verdict
	Feedback    []Feedback
	Deployments []Deployment
	// Records are more decisions, in encoded form. Decode makes the row of one; the row is only read before the next call, and what it was before is of no
	// interest. A record that it refuses is counted with Skipped.
	Records []Record
	Decode  func(r *Record, into *Decision) error
}

// Rows returns how many rows there are.
func (b *Batch) Rows() int {
	return len(b.Decisions) + len(b.Records) + len(b.Verdicts) + len(b.Feedback) + len(b.Deployments)
}

// skipTo leaves out what is in the lake already.
func (b *Batch) skipTo(watermark uint64) {
	if b.After = watermark; b.Records != nil {
		b.Records = slices.DeleteFunc(b.Records, func(r Record) bool { return r.Seq <= watermark })
	}
	b.Decisions = after(b.Decisions, watermark)
	b.Verdicts = after(b.Verdicts, watermark)
	b.Feedback = after(b.Feedback, watermark)
	b.Deployments = after(b.Deployments, watermark)
	b.Lost = slices.DeleteFunc(b.Lost, func(r Range) bool { return r.Last <= watermark })
}

func after[T any, R interface {
	*T
	place() int64
}](rows []T, watermark uint64) []T {
	return slices.DeleteFunc(rows, func(r T) bool { return R(&r).place() <= int64(watermark) })
}

// ErrGap means that the messages between the watermark and a batch are missing in it.
var ErrGap = errors.New("messages between the lake and the batch are missing")

// Append takes a batch into the lake: all of it or, after an error, nothing. What the lake has already, from an earlier call or from another writer, is left out; so
// it is harmless to append something again. A message that is a repetition of an earlier one, with the same key in its table, is left out and counted.
//
// Nothing is held in memory after it. It changes the batch.
func (l *Lake) Append(ctx context.Context, b *Batch) error {
	for {
		s := l.State()
		w := s.WatermarkOf(b.Stream)
		if w >= b.Last {
			return nil
		}
		if w < b.After {
			if err := l.Refresh(ctx); err != nil {
				return fmt.Errorf("append to the lake: %w", err)
			}
			if w := l.State().WatermarkOf(b.Stream); w < b.After {
				return fmt.Errorf("append messages after %d to a lake that ends with %d: %w", b.After, w, ErrGap)
			}
			continue
		}
		b.skipTo(w)
		done, err := l.appendAt(ctx, s, b)
		if errors.Is(err, ErrNotFound) && l.moved(ctx, s) {
			continue // a file was replaced while it was read
		}
		if err != nil {
			return fmt.Errorf("append to the lake: %w", err)
		}
		if done {
			return nil
		}
	}
}

// moved says whether the lake is another than that state.
func (l *Lake) moved(ctx context.Context, s *State) bool {
	return l.Refresh(ctx) == nil && l.State().Number != s.Number
}

// appendAt writes the files of a batch and commits them, unless the lake has moved on from the state since.
func (l *Lake) appendAt(ctx context.Context, s *State, b *Batch) (done bool, err error) {
	files, repeated, broken, err := l.encode(ctx, s, b)
	if err != nil {
		return false, err
	}
	if err := l.put(ctx, files); err != nil {
		return false, err
	}
	err = l.commit(ctx, func(now *State) (*Entry, error) {
		if now.Watermark != s.Watermark || now.Stream != s.Stream {
			return nil, nil
		}
		e := &Entry{Kind: kindAppend, StreamID: b.Stream, Stream: &Range{s.WatermarkOf(b.Stream) + 1, b.Last}, Lost: b.Lost, Repeated: repeated, Skipped: b.Skipped + broken}
		for _, f := range files {
			e.Add = append(e.Add, f.file)
		}
		done = true
		return e, nil
	})
	if err != nil {
		return false, err
	}
	if !done {
		l.discard(ctx, files)
	}
	return done, nil
}

// encode makes the files of what is new in a batch.
func (l *Lake) encode(ctx context.Context, s *State, b *Batch) (files []*encoded, repeated, broken int64, err error) {
	err = errors.Join(
		encodeNew[Decision](ctx, l, s, Decisions, b.decisions(), func(e *entry[Decision], into *Decision) error {
			return b.Decode(&Record{Project: e.project, Key: e.key, Seq: uint64(e.seq), Data: e.data}, into)
		}, &files, &repeated, &broken),
		encodeNew[Verdict](ctx, l, s, Verdicts, entriesOf[Verdict](b.Verdicts, 0), nil, &files, &repeated, &broken),
		encodeNew[Feedback](ctx, l, s, FeedbackOf, entriesOf[Feedback](b.Feedback, 0), nil, &files, &repeated, &broken),
		encodeNew[Deployment](ctx, l, s, Deployments, entriesOf[Deployment](b.Deployments, 0), nil, &files, &repeated, &broken),
	)
	return files, repeated, broken, err
}

func encodeNew[T any, R row[T]](
	ctx context.Context, l *Lake, s *State, table string, entries []entry[T], fill func(*entry[T], *T) error, files *[]*encoded, repeated, broken *int64,
) error {
	entries, again, err := distinct[T, R](ctx, l, s, table, entries)
	if err != nil {
		return err
	}
	made, bad, err := encode[T, R](table, entries, fill)
	for rest, left := entries, made; len(left) > 0 && len(rest) > 0; {
		n := partLen(rest)
		if part := rest[:n]; left[0].file.partition() == (partition{part[0].project, table, part[0].date()}) {
			l.wrote.add(left[0].file.Path, n, func(i int) string { return part[i].key })
			left = left[1:]
		}
		rest = rest[n:]
	}
	*files, *repeated, *broken = append(*files, made...), *repeated+again, *broken+bad
	return err
}

// writers is how many files are written at the same time: a bucket answers each after some 50 ms.
const writers = 8

// put writes files. Their names hold their hash, so one that is there has the same content.
func (l *Lake) put(ctx context.Context, files []*encoded) error {
	errs := make(chan error, len(files))
	slots := make(chan struct{}, writers)
	var wg sync.WaitGroup
	for _, f := range files {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := l.store.Create(ctx, f.file.Path, f.data); err != nil && !errors.Is(err, ErrExists) {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// discard removes files that another writer made useless, unless that one committed the very same.
func (l *Lake) discard(ctx context.Context, files []*encoded) {
	for _, f := range files {
		if l.State().Files[f.file.Path] != nil {
			continue
		}
		if err := l.store.Delete(ctx, f.file.Path); err != nil {
			l.log.Debug("a file that nobody needs was not deleted; sweeping does it later", "file", f.file.Path, "error", err)
		}
	}
}
