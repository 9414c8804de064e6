package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Filter restricts a reading. Empty members do not restrict.
type Filter struct {
	Project  string
	From, To time.Time // of the rows: From included, To not
}

func (f *Filter) matches(x *File) bool {
	return (f.Project == "" || x.Project == f.Project) && (f.From.IsZero() || !x.MaxTime.Before(f.From)) && (f.To.IsZero() || x.MinTime.Before(f.To))
}

func (f *Filter) row(at time.Time) bool {
	return (f.From.IsZero() || !at.Before(f.From)) && (f.To.IsZero() || at.Before(f.To))
}

// Select returns the files of a table that a filter can match, by project, day and place in the stream.
func (s *State) Select(table string, f Filter) []*File {
	var files []*File
	for _, x := range s.Files {
		if (table == "" || x.Table == table) && f.matches(x) {
			files = append(files, x)
		}
	}
	slices.SortFunc(files, func(a, b *File) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Date, b.Date), cmp.Compare(a.MinSeq, b.MinSeq), cmp.Compare(a.Path, b.Path))
	})
	return files
}

// Each calls fn with every row of a table that the filter matches, as *Decision, *Verdict, *Feedback or *Deployment, by project and day. All rows are of one state of
// the lake. The row may be kept.
func (l *Lake) Each(ctx context.Context, table string, filter Filter, fn func(row any) error) error {
	if tables[table] == nil {
		return fmt.Errorf("read the lake: there is no table %q", table)
	}
	taken := map[string]bool{} // files whose rows were handed on
	for {
		err := l.each(ctx, table, filter, taken, fn)
		if !errors.Is(err, ErrNotFound) || len(taken) > 0 {
			return err
		}
		// A file was replaced and deleted before it was read: begin again with what is there now. Once rows were handed on, that would repeat some of them.
		number := l.State().Number
		if err := l.Refresh(ctx); err != nil {
			return err
		}
		if l.State().Number == number {
			return err
		}
	}
}

func (l *Lake) each(ctx context.Context, table string, filter Filter, taken map[string]bool, fn func(any) error) error {
	for _, f := range l.State().Select(table, filter) {
		p, err := l.openWhole(ctx, f)
		if err != nil {
			return err
		}
		taken[f.Path] = true
		err = tables[table].each(p, f.Project, func(r any) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !filter.row(timeOf(r)) {
				return nil
			}
			return fn(r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func timeOf(r any) time.Time {
	switch r := r.(type) {
	case *Decision:
		return r.Time
	case *Verdict:
		return r.Time
	case *Feedback:
		return r.Time
	case *Deployment:
		return r.Time
	}
	return time.Time{}
}

// FindDecision returns the decision of a project with that id, or ErrNotFound. It reads two or three blocks of the files whose ids enclose it: one or two, when days are
// compacted.
func (l *Lake) FindDecision(ctx context.Context, project, id string) (*Decision, error) {
	for {
		s := l.State()
		d, err := l.findIn(ctx, s, project, id)
		if !errors.Is(err, ErrNotFound) || !l.moved(ctx, s) {
			return d, err
		}
	}
}

func (l *Lake) findIn(ctx context.Context, s *State, project, id string) (*Decision, error) {
	for _, f := range s.Files {
		if f.Table != Decisions || f.Project != project || id < f.MinKey || id > f.MaxKey {
			continue
		}
		p, err := l.open(ctx, f)
		if err != nil {
			return nil, err
		}
		r, err := tables[Decisions].find(p, project, id)
		if errors.Is(err, errNoRow) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find %s in %s: %w", id, f.Path, err)
		}
		return r.(*Decision), nil
	}
	return nil, fmt.Errorf("decision %s: %w", id, ErrNotFound)
}

// Histogram counts the rows of decisions by the first chosen label. It reads nothing but the dictionaries and codes of that column.
func (l *Lake) Histogram(ctx context.Context, filter Filter) (map[string]int64, error) {
	counts := map[string]int64{}
	for _, f := range l.State().Select(Decisions, filter) {
		p, err := l.openWith(ctx, f, &blockCache{limit: 8 * blockSize})
		if err != nil {
			return nil, err
		}
		leaf, ok := p.Schema().Lookup("label")
		if !ok {
			return nil, fmt.Errorf("%s has no column label", f.Path)
		}
		for _, g := range p.RowGroups() {
			if err := countColumn(g.ColumnChunks()[leaf.ColumnIndex], counts); err != nil {
				return nil, fmt.Errorf("%s: %w", f.Path, err)
			}
		}
	}
	return counts, nil
}

func countColumn(chunk parquet.ColumnChunk, counts map[string]int64) (err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for {
		page, err := pages.ReadPage()
		if err != nil {
			return ignoreEnd(err)
		}
		if d := page.Dictionary(); d != nil {
			data := page.Data()
			codes := data.Int32()
			byCode := make([]int64, d.Len())
			for _, c := range codes {
				byCode[c]++
			}
			for c, n := range byCode {
				if n > 0 {
					counts[string(d.Index(int32(c)).ByteArray())] += n
				}
			}
		} else {
			values := make([]parquet.Value, page.NumValues())
			n, err := page.Values().ReadValues(values)
			if ignoreEnd(err) != nil {
				return err
			}
			for _, v := range values[:n] {
				counts[string(v.ByteArray())]++
			}
		}
		parquet.Release(page)
	}
}
