package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Query asks for decisions of one project, newest first. Empty members do not restrict.
type Query struct {
	Project                                string
	Before                                 string // ids below this one
	From, To                               time.Time
	Operation, Deployment, Outcome, Reason string
	Label                                  string // one of the chosen labels
	ContentID, SubjectID                   string
	Limit                                  int
}

// outline holds the columns that a query looks at.
type outline struct {
	DecisionID   string    `parquet:"decision_id"`
	Time         time.Time `parquet:"time,timestamp(microsecond)"`
	Operation    string    `parquet:"operation"`
	Deployment   string    `parquet:"deployment"`
	Outcome      string    `parquet:"outcome"`
	Reason       string    `parquet:"reason"`
	ChosenLabels []string  `parquet:"chosen_labels,list"`
	SubjectID    string    `parquet:"subject_id"`
	ContentID    string    `parquet:"content_id"`
}

func (q *Query) matches(o *outline) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return (q.Before == "" || o.DecisionID < q.Before) && (q.From.IsZero() || !o.Time.Before(q.From)) && (q.To.IsZero() || o.Time.Before(q.To)) &&
		is(q.Operation, o.Operation) && is(q.Deployment, o.Deployment) && is(q.Outcome, o.Outcome) && is(q.Reason, o.Reason) &&
		(q.Label == "" || slices.Contains(o.ChosenLabels, q.Label)) && is(q.ContentID, o.ContentID) && is(q.SubjectID, o.SubjectID)
}

// listRows is how many rows one query looks at, more or less: about a second of work.
const listRows = 500_000

// List returns decisions that a query matches, newest first, and where to go on: the Before of the next query, "" when there is nothing more. It ends after a bounded
// number of rows, with fewer decisions than the limit or none, and then says where to go on too.
func (l *Lake) List(ctx context.Context, q Query) (rows []*Decision, next string, err error) {
	for {
		if err := l.Refresh(ctx); err != nil {
			return nil, "", fmt.Errorf("list decisions: %w", err)
		}
		s := l.State()
		rows, next, err = l.list(ctx, s, q)
		if errors.Is(err, ErrNotFound) && l.moved(ctx, s) {
			continue // a file was replaced while it was read
		}
		if err != nil {
			return nil, "", fmt.Errorf("list decisions: %w", err)
		}
		return rows, next, nil
	}
}

// hit is a decision that matches, and the file that holds it.
type hit struct {
	id   string
	file *File
}

func (l *Lake) list(ctx context.Context, s *State, q Query) (rows []*Decision, next string, err error) {
	files := slices.DeleteFunc(s.Select(Decisions, Filter{Project: q.Project, From: q.From, To: q.To}), func(f *File) bool { return q.Before != "" && f.MinKey >= q.Before })
	slices.SortFunc(files, func(a, b *File) int { return strings.Compare(b.MaxKey, a.MaxKey) })
	search := &listing{query: q}
	rest := "" // the largest id that may not have been looked at
	for i, f := range files {
		if i > 0 && (search.scanned > listRows || search.full(f.MaxKey)) {
			rest = f.MaxKey
			break
		}
		if err := search.file(ctx, l, f); err != nil {
			return nil, "", err
		}
	}
	hits := search.hits
	slices.SortFunc(hits, func(a, b hit) int { return strings.Compare(b.id, a.id) })
	if rest != "" {
		next = rest + "~" // includes the id itself
		if n := slices.IndexFunc(hits, func(h hit) bool { return h.id <= rest }); n >= 0 {
			hits = hits[:n]
		}
	}
	if len(hits) > q.Limit {
		hits = hits[:q.Limit]
		next = hits[q.Limit-1].id
	}
	opened := map[*File]*parquet.File{}
	for _, h := range hits {
		if opened[h.file] == nil {
			if opened[h.file], err = l.open(ctx, h.file); err != nil {
				return nil, "", err
			}
		}
		r, err := tables[Decisions].find(opened[h.file], q.Project, h.id)
		if err != nil {
			return nil, "", fmt.Errorf("read %s in %s: %w", h.id, h.file.Path, err)
		}
		rows = append(rows, r.(*Decision))
	}
	return rows, next, nil
}

// listing collects the newest hits.
type listing struct {
	query   Query
	hits    []hit
	scanned int64
}

// full says whether there are enough hits above an id, so that nothing at or below it can be on the page.
func (s *listing) full(id string) bool {
	n := 0
	for _, h := range s.hits {
		if h.id > id {
			n++
		}
	}
	return n > s.query.Limit
}

// file looks through a file from its end, which is its newest part.
func (s *listing) file(ctx context.Context, l *Lake, f *File) error {
	p, err := l.open(ctx, f)
	if err != nil {
		return err
	}
	leaf, ok := p.Schema().Lookup("decision_id")
	if !ok {
		return fmt.Errorf("%s has no column decision_id", f.Path)
	}
	for _, g := range slices.Backward(p.RowGroups()) {
		least, most, err := keyBounds(g.ColumnChunks()[leaf.ColumnIndex])
		if err != nil {
			return err
		}
		if s.query.Before != "" && least >= s.query.Before {
			continue
		}
		if s.full(most) {
			return nil
		}
		possible, err := s.possible(p, g)
		if err != nil {
			return err
		}
		if !possible {
			continue
		}
		s.scanned += g.NumRows()
		if err := s.group(ctx, f, g); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return nil
}

// possible asks the Bloom filters for ids of which a file may hold none at all.
func (s *listing) possible(p *parquet.File, g parquet.RowGroup) (bool, error) {
	for column, id := range map[string]string{"content_id": s.query.ContentID, "subject_id": s.query.SubjectID} {
		leaf, ok := p.Schema().Lookup(column)
		if id == "" || !ok {
			continue
		}
		if filter := g.ColumnChunks()[leaf.ColumnIndex].BloomFilter(); filter != nil {
			may, err := filter.Check(parquet.ValueOf(id))
			if err != nil || !may {
				return false, err
			}
		}
	}
	return true, nil
}

// group takes the hits of one row group, the newest of them when they are more than fit on a page.
func (s *listing) group(ctx context.Context, f *File, g parquet.RowGroup) (err error) {
	r := parquet.NewGenericRowGroupReader[outline](g)
	defer func() { err = errors.Join(err, r.Close()) }()
	buf := make([]outline, cursorRows)
	var found []hit
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		clear(buf)
		n, err := r.Read(buf)
		for i := range buf[:n] {
			if s.query.matches(&buf[i]) {
				found = append(found, hit{buf[i].DecisionID, f})
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if extra := len(found) - s.query.Limit - 1; extra > 0 {
		found = found[extra:]
	}
	s.hits = append(s.hits, found...)
	return nil
}

// keyBounds returns the least and the largest key of a sorted column.
func keyBounds(chunk parquet.ColumnChunk) (least, most string, err error) {
	index, err := chunk.ColumnIndex()
	if err != nil || index.NumPages() == 0 {
		return "", "", errors.Join(err, errors.New("the column has no page index"))
	}
	return string(index.MinValue(0).ByteArray()), string(index.MaxValue(index.NumPages() - 1).ByteArray()), nil
}
