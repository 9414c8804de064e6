package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

const (
	// So many files of one size class of a partition become one file: every row is then rewritten about as often as log8 of the number of files.
	fanIn = 8
	// A day that has ended this long ago gets no more rows to speak of; what is left of its files becomes one.
	settled = 2 * time.Hour
	// youngBytes is up to how many bytes files of a day become one that has not ended: sources, result and what is unpacked of them are in memory together, at a time
	// when the process has other work.
	youngBytes = 16 << 20
)

// Compact merges small files of one partition into one, and returns how many it has replaced; 0 when there is nothing to do. Readers see either the small
// files or the large one.
func (l *Lake) Compact(ctx context.Context) (replaced int, err error) {
	files := l.candidates(l.State())
	if len(files) == 0 {
		return 0, nil
	}
	if err := l.rewrite(ctx, kindCompact, files, nil); err != nil {
		if errors.Is(err, errStale) || errors.Is(err, ErrNotFound) {
			return 0, l.Refresh(ctx) // another writer was at the same
		}
		return 0, fmt.Errorf("compact %s: %w", files[0].partition().dir(), err)
	}
	return len(files), nil
}

// candidates returns files that should become one.
func (l *Lake) candidates(s *State) []*File {
	groups := map[partition][]*File{}
	for _, f := range s.Files {
		if f.Bytes < fileBytes/2 && f.Rows < fileRows/2 {
			groups[f.partition()] = append(groups[f.partition()], f)
		}
	}
	var best []*File
	for p, files := range groups {
		slices.SortFunc(files, func(a, b *File) int { return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Path, b.Path)) })
		if day, err := time.Parse(time.DateOnly, p.date); err == nil && l.now().Sub(day) > 24*time.Hour+settled {
			if some := fitting(files, fileBytes); len(some) > max(1, len(best)) {
				best = some
			}
			continue
		}
		classes := map[int][]*File{}
		for _, f := range files {
			if f.Bytes >= youngBytes/2 {
				continue
			}
			class := (bits.Len64(uint64(f.Bytes)) - 12) / 3 // factors of eight
			classes[class] = append(classes[class], f)
		}
		for _, c := range classes {
			if some := fitting(c, youngBytes); len(c) >= fanIn && len(some) > len(best) {
				best = some
			}
		}
	}
	return best
}

// fitting returns as many of the files, smallest first, as fit into one of so many bytes.
func fitting(files []*File, most int64) []*File {
	bytes, rows := int64(0), int64(0)
	for i, f := range files {
		if bytes, rows = bytes+f.Bytes, rows+f.Rows; i > 0 && (bytes > most || rows > fileRows) {
			return files[:i]
		}
	}
	return files
}

// rewrite replaces files of one partition by one that holds their rows, as edit leaves them.
func (l *Lake) rewrite(ctx context.Context, why string, files []*File, edit editor) error {
	var from []*parquet.File
	for _, f := range files {
		p, err := l.openWhole(ctx, f)
		if err != nil {
			return err
		}
		from = append(from, p)
	}
	p := files[0].partition()
	merged, err := tables[p.table].merge(from, p.project, edit)
	if err != nil {
		return err
	}
	return l.replace(ctx, why, files, []*encoded{merged})
}

// replace commits that files give way to others.
func (l *Lake) replace(ctx context.Context, why string, files []*File, by []*encoded) error {
	e := Entry{Kind: why}
	rows := int64(0)
	for _, f := range files {
		e.Remove = append(e.Remove, f.Path)
		rows += f.Rows
	}
	for _, f := range by {
		e.Add = append(e.Add, f.file)
		rows -= f.file.Rows
	}
	if rows != 0 && len(by) > 0 {
		return fmt.Errorf("%d rows would be lost", rows) // never: it would be a defect
	}
	if err := l.put(ctx, by); err != nil {
		return err
	}
	err := l.commit(ctx, func(*State) (*Entry, error) { again := e; return &again, nil })
	if errors.Is(err, errStale) {
		l.discard(ctx, by)
	}
	return err
}

// Retain removes the days whose rows are older than their project keeps them, and returns how many files that were.
func (l *Lake) Retain(ctx context.Context, now time.Time) (removed int, err error) {
	if len(l.cfg.Retention) == 0 {
		return 0, nil
	}
	err = l.commit(ctx, func(s *State) (*Entry, error) {
		e := &Entry{Kind: kindRetain}
		for path, f := range s.Files {
			keep, ok := l.cfg.Retention[f.Project]
			if !ok {
				keep, ok = l.cfg.Retention["*"]
			}
			if ok && now.Sub(f.MaxTime) > keep {
				e.Remove = append(e.Remove, path)
			}
		}
		if removed = len(e.Remove); removed == 0 {
			return nil, nil
		}
		slices.Sort(e.Remove)
		return e, nil
	})
	if err != nil {
		return 0, fmt.Errorf("retain: %w", err)
	}
	return removed, l.Purge(ctx)
}

// Purge deletes files that were replaced or removed longer ago than Config.Grace.
func (l *Lake) Purge(ctx context.Context) error { return l.purge(ctx, l.cfg.Grace) }

func (l *Lake) purge(ctx context.Context, grace time.Duration) error {
	var gone []string
	for path, at := range l.State().Removed {
		if l.now().Sub(at) >= grace {
			gone = append(gone, path)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	slices.Sort(gone)
	for _, path := range gone {
		if err := l.store.Delete(ctx, path); err != nil {
			return fmt.Errorf("purge: %w", err)
		}
	}
	return l.commit(ctx, func(s *State) (*Entry, error) {
		e := &Entry{Kind: kindPurge}
		for _, path := range gone {
			if _, ok := s.Removed[path]; ok {
				e.Purged = append(e.Purged, path)
			}
		}
		if len(e.Purged) == 0 {
			return nil, nil
		}
		return e, nil
	})
}

// Sweep deletes what nothing refers to and is older than age: files that a writer never committed, and manifest entries before the last checkpoint but one. age must be longer
// than any writer can take between writing a file and committing it, and than any writer may sleep between looking at the manifest and committing.
func (l *Lake) Sweep(ctx context.Context, age time.Duration) error {
	if err := l.Refresh(ctx); err != nil {
		return err
	}
	if err := l.Purge(ctx); err != nil {
		return err
	}
	s := l.State()
	var checkpoints []uint64
	var objects []Object
	err := l.store.List(ctx, "", func(o Object) error {
		if n, checkpoint, ok := manifestNumber(o.Name); ok && checkpoint {
			checkpoints = append(checkpoints, n)
		}
		if l.now().Sub(o.Modified) >= age {
			objects = append(objects, o)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	slices.Sort(checkpoints)
	before := uint64(0)
	if n := len(checkpoints); n > 1 {
		before = checkpoints[n-2]
	}
	for _, o := range objects {
		f := File{Path: o.Name}
		n, _, manifest := manifestNumber(o.Name)
		_, removed := s.Removed[o.Name]
		useless := manifest && n < before || !manifest && f.fromPath() == nil && s.Files[o.Name] == nil && !removed
		if !useless {
			continue // also what is none of the lake's
		}
		if err := l.store.Delete(ctx, o.Name); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}

// Expired says whether rows of that time are not kept any more.
func (l *Lake) Expired(project string, at time.Time) bool {
	keep, ok := l.cfg.Retention[project]
	if !ok {
		keep, ok = l.cfg.Retention["*"]
	}
	return ok && l.now().Sub(at) > keep
}
