package lake

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// cursor reads the rows of one file in order.
type cursor[T any, R row[T]] struct {
	r    *parquet.GenericReader[T]
	buf  []T
	rows []T // of buf, not yet taken
	end  bool
}

const cursorRows = 256

func newCursor[T any, R row[T]](f *parquet.File) *cursor[T, R] {
	return &cursor[T, R]{r: parquet.NewGenericReader[T](f), buf: make([]T, cursorRows)}
}

// head returns the next row, nil at the end.
func (c *cursor[T, R]) head() (*T, error) {
	if len(c.rows) == 0 && !c.end {
		clear(c.buf) // the reader appends to the slices that it finds
		n, err := c.r.Read(c.buf)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		c.end = err != nil
		c.rows = c.buf[:n]
	}
	if len(c.rows) == 0 {
		return nil, nil
	}
	return &c.rows[0], nil
}

func (c *cursor[T, R]) next() { c.rows = c.rows[1:] }

// close ends the reading.
func (c *cursor[T, R]) close() error { return c.r.Close() }

// merge implements table.
func (kind[T, R]) merge(from []*parquet.File, project string, edit editor) (_ *encoded, err error) {
	var cursors []*cursor[T, R]
	defer func() {
		for _, c := range cursors {
			err = errors.Join(err, c.close())
		}
	}()
	for _, f := range from {
		cursors = append(cursors, newCursor[T, R](f))
	}
	e := newEncoder[T, R]()
	size := int64(0)
	for _, f := range from {
		size += f.Size()
	}
	e.buf.Grow(int(size)) // it becomes a little smaller; growing would need three times the room at the end
	var changed int64
	pending := make([]T, 0, cursorRows)
	for {
		least, at := (*T)(nil), 0
		for i, c := range cursors {
			head, err := c.head()
			if err != nil {
				return nil, fmt.Errorf("read rows: %w", err)
			}
			if head != nil && (least == nil || R(head).key() < R(least).key()) {
				least, at = head, i
			}
		}
		if least == nil {
			break
		}
		r := *least
		cursors[at].next()
		if edit != nil && edit(R(&r).subject(), R(&r).erase) {
			changed++
		}
		if pending = append(pending, r); len(pending) == cap(pending) {
			if err := e.write(pending); err != nil {
				return nil, err
			}
			clear(pending)
			pending = pending[:0]
			runtime.Gosched() // nobody waits for it
		}
	}
	if err := e.write(pending); err != nil {
		return nil, err
	}
	when := e.file.MinTime
	out, err := e.finish(partition{project, nameOf[T](), dateOf(when)})
	if err != nil {
		return nil, err
	}
	out.changed = changed
	return out, nil
}

// nameOf returns the table's name.
func nameOf[T any]() string {
	switch any(new(T)).(type) {
	case *Decision:
		return Decisions
	case *Verdict:
		return Verdicts
	case *Feedback:
		return FeedbackOf
	}
	return Deployments
}

// each implements table.
func (kind[T, R]) each(f *parquet.File, project string, fn func(any) error) (err error) {
	c := newCursor[T, R](f)
	defer func() { err = errors.Join(err, c.close()) }()
	for {
		head, err := c.head()
		if err != nil || head == nil {
			return err
		}
		r := *head
		c.next()
		*R(&r).project() = project
		if err := fn(&r); err != nil {
			return err
		}
	}
}

// errNoRow means that a file does not hold the row. It is not ErrNotFound, which is about the file.
var errNoRow = errors.New("no such row")

// find implements table: the page index says which pages can hold the key, and only those are read.
func (kind[T, R]) find(f *parquet.File, project, key string) (any, error) {
	leaf, ok := f.Schema().Lookup(keyColumn[T]())
	if !ok {
		return nil, fmt.Errorf("find: there is no column %s", keyColumn[T]())
	}
	for _, g := range f.RowGroups() {
		at, ok, err := rowOf(g.ColumnChunks()[leaf.ColumnIndex], key)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		r := parquet.NewGenericRowGroupReader[T](g)
		if err := r.SeekToRow(at); err != nil {
			return nil, errors.Join(err, r.Close())
		}
		rows := make([]T, 1)
		n, err := r.Read(rows)
		if err != nil && !errors.Is(err, io.EOF) || n != 1 {
			return nil, errors.Join(fmt.Errorf("find: row %d cannot be read", at), err, r.Close())
		}
		*R(&rows[0]).project() = project
		return &rows[0], r.Close()
	}
	return nil, errNoRow
}

// known implements table: the pages that can hold a key are read in order, and compared with the keys as they come.
func (kind[T, R]) known(f *parquet.File, keys []string) (map[string]bool, error) {
	leaf, ok := f.Schema().Lookup(keyColumn[T]())
	if !ok {
		return nil, fmt.Errorf("known: there is no column %s", keyColumn[T]())
	}
	var out map[string]bool
	var values []parquet.Value
	for _, g := range f.RowGroups() {
		err := eachPage(g.ColumnChunks()[leaf.ColumnIndex], keys, func(page parquet.Page, wanted []string) (err error) {
			if n := int(page.NumValues()); cap(values) < n {
				values = make([]parquet.Value, n)
			}
			n, err := page.Values().ReadValues(values[:page.NumValues()])
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			for i := 0; i < n && len(wanted) > 0; {
				switch key := values[i].ByteArray(); {
				case string(key) < wanted[0]:
					i++
				case string(key) > wanted[0]:
					wanted = wanted[1:]
				default:
					if out == nil {
						out = map[string]bool{}
					}
					out[wanted[0]] = true
					wanted = wanted[1:]
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eachPage calls fn with the pages of a column of sorted keys that can hold some of the sorted keys, and with these.
func eachPage(chunk parquet.ColumnChunk, keys []string, fn func(page parquet.Page, wanted []string) error) (err error) {
	index, err := chunk.ColumnIndex()
	if err != nil {
		return err
	}
	offsets, err := chunk.OffsetIndex()
	if err != nil {
		return err
	}
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for i := range index.NumPages() {
		if index.NullPage(i) {
			continue
		}
		from, _ := slices.BinarySearch(keys, string(index.MinValue(i).ByteArray()))
		to, found := slices.BinarySearch(keys, string(index.MaxValue(i).ByteArray()))
		if found {
			to++
		}
		if from >= to {
			continue
		}
		if err := pages.SeekToRow(offsets.FirstRowIndex(i)); err != nil {
			return err
		}
		page, err := pages.ReadPage()
		if err != nil {
			return err
		}
		err = fn(page, keys[from:to])
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
	return nil
}

func keyColumn[T any]() string {
	switch any(new(T)).(type) {
	case *Decision:
		return "decision_id"
	case *Verdict:
		return "verdict_id"
	case *Feedback:
		return "feedback_id"
	}
	return "event_id"
}

// rowOf returns which row of a column of keys, which are sorted, has that one.
func rowOf(chunk parquet.ColumnChunk, key string) (row int64, ok bool, err error) {
	index, err := chunk.ColumnIndex()
	if err != nil {
		return 0, false, err
	}
	offsets, err := chunk.OffsetIndex()
	if err != nil {
		return 0, false, err
	}
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for i := range index.NumPages() {
		if index.NullPage(i) || string(index.MinValue(i).ByteArray()) > key || string(index.MaxValue(i).ByteArray()) < key {
			continue
		}
		first := offsets.FirstRowIndex(i)
		if err := pages.SeekToRow(first); err != nil {
			return 0, false, err
		}
		page, err := pages.ReadPage()
		if err != nil {
			return 0, false, err
		}
		at, err := indexIn(page, key)
		if err != nil || at >= 0 {
			return first + int64(at), at >= 0, err
		}
	}
	return 0, false, nil
}

// indexIn returns the place of a key in a page, -1 when it is not there.
func indexIn(page parquet.Page, key string) (int, error) {
	defer parquet.Release(page)
	values := make([]parquet.Value, page.NumValues())
	n, err := page.Values().ReadValues(values)
	if err != nil && !errors.Is(err, io.EOF) {
		return -1, err
	}
	return slices.IndexFunc(values[:n], func(v parquet.Value) bool { return string(v.ByteArray()) == key }), nil
}
