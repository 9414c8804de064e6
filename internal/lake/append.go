package lake

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parquet-go/parquet-go"
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
}

// Rows returns how many rows there are.
func (b *Batch) Rows() int {
	return len(b.Decisions) + len(b.Verdicts) + len(b.Feedback) + len(b.Deployments)
}

// skipTo leaves out what is in the lake already.
func (b *Batch) skipTo(watermark uint64) {
	b.After = watermark
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
	repeated := int64(0)
	for _, drop := range []func() (int64, error){
		func() (n int64, err error) { b.Decisions, n, err = distinct(ctx, l, s, Decisions, b.Decisions); return },
		func() (n int64, err error) { b.Verdicts, n, err = distinct(ctx, l, s, Verdicts, b.Verdicts); return },
		func() (n int64, err error) { b.Feedback, n, err = distinct(ctx, l, s, FeedbackOf, b.Feedback); return },
		func() (n int64, err error) {
			b.Deployments, n, err = distinct(ctx, l, s, Deployments, b.Deployments)
			return
		},
	} {
		n, err := drop()
		if err != nil {
			return false, err
		}
		repeated += n
	}
	files, err := b.encode()
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
		e := &Entry{Kind: kindAppend, StreamID: b.Stream, Stream: &Range{s.WatermarkOf(b.Stream) + 1, b.Last}, Lost: b.Lost, Repeated: repeated, Skipped: b.Skipped}
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

func (b *Batch) encode() ([]*encoded, error) {
	decisions, err1 := encode[Decision](Decisions, b.Decisions)
	verdicts, err2 := encode[Verdict](Verdicts, b.Verdicts)
	feedback, err3 := encode[Feedback](FeedbackOf, b.Feedback)
	deployments, err4 := encode[Deployment](Deployments, b.Deployments)
	return slices.Concat(decisions, verdicts, feedback, deployments), errors.Join(err1, err2, err3, err4)
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

// distinct leaves out rows whose key came before: in the same batch, or in a file that is in the lake. Ids are made in the order of time, so almost no file can hold
// the key of a new row, and almost nothing is looked up. A call that is begun again on a later day, after a crash, is recorded with the id of the first day and the time
// of the later one: such rows are looked for on all days.
func distinct[T any, R row[T]](ctx context.Context, l *Lake, s *State, table string, rows []T) (kept []T, repeated int64, err error) {
	if len(rows) == 0 {
		return rows, 0, nil
	}
	files := map[partition][]*File{} // of a day, and under the date "" of all days
	for _, f := range s.Files {
		if f.Table == table {
			anyDay := partition{f.Project, table, ""}
			files[f.partition()], files[anyDay] = append(files[f.partition()], f), append(files[anyDay], f)
		}
	}
	opened := map[string]*parquet.File{}
	seen := map[string]bool{}
	for i := range rows {
		r := R(&rows[i])
		id := *r.project() + "/" + r.key()
		known := seen[id]
		seen[id] = true
		at := partition{*r.project(), table, dateOf(r.when())}
		if made, ok := IDTime(r.key()); ok && dateOf(made) != at.date {
			at.date = ""
		}
		for _, f := range files[at] {
			if known || r.key() < f.MinKey || r.key() > f.MaxKey {
				continue
			}
			if opened[f.Path] == nil {
				if opened[f.Path], err = l.open(ctx, f); err != nil {
					return nil, 0, err
				}
			}
			_, err := tables[table].find(opened[f.Path], f.Project, r.key())
			if err != nil && !errors.Is(err, errNoRow) {
				return nil, 0, fmt.Errorf("look for %s in %s: %w", r.key(), f.Path, err)
			}
			known = err == nil
		}
		if known {
			repeated++
			continue
		}
		kept = append(kept, rows[i])
	}
	return kept, repeated, nil
}

// IDTime returns the milliseconds that a UUIDv7 carries. It returns false for any other id.
func IDTime(id string) (time.Time, bool) {
	var b [8]byte
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[14] != '7' {
		return time.Time{}, false
	}
	if _, err := hex.Decode(b[2:], []byte(id[0:8]+id[9:13])); err != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:]))), true
}
