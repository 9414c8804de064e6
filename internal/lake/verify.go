package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Verify reads every byte of the lake and returns everything that is not as it was written: objects that are damaged or missing, entries that do not follow from
// each other, files that do not hold the rows that the manifest says, keys that are there twice. seen, when given, is called for every object that was read. An error
// means that the lake could not be read.
func (l *Lake) Verify(ctx context.Context, seen func(object string)) (problems []error, err error) {
	if seen == nil {
		seen = func(string) {}
	}
	v := &verifier{lake: l, ctx: ctx, seen: seen, entries: map[uint64]bool{}, checkpoints: map[uint64]bool{}}
	if err := v.manifest(); err != nil {
		return nil, fmt.Errorf("verify lake: %w", err)
	}
	if v.state == nil {
		return v.problems, nil // nothing says which files count
	}
	for _, f := range v.state.Select("", Filter{}) {
		if err := v.file(f); err != nil {
			return nil, fmt.Errorf("verify lake: %w", err)
		}
	}
	return v.problems, nil
}

// VerifyStore is Verify for a lake that may be too damaged to be opened.
func VerifyStore(ctx context.Context, store Store, seen func(object string)) (problems []error, err error) {
	l := &Lake{store: store}
	l.state.Store(newState())
	return l.Verify(ctx, seen)
}

type verifier struct {
	lake     *Lake
	ctx      context.Context //nolint:containedctx // a verifier lives as long as one call
	seen     func(string)
	problems []error
	state    *State

	entries, checkpoints map[uint64]bool // that exist
}

// found notes damage, and returns every other error.
func (v *verifier) found(err error) error {
	if _, ok := errors.AsType[*DamageError](err); ok {
		v.problems = append(v.problems, err)
		return nil
	}
	return err
}

// manifest walks the entries from the oldest that can be applied, and compares checkpoints with what the entries add up to.
func (v *verifier) manifest() error {
	err := v.lake.store.List(v.ctx, manifestDir, func(o Object) error {
		n, checkpoint, ok := manifestNumber(o.Name)
		switch {
		case !ok:
			v.problems = append(v.problems, &DamageError{Object: o.Name, Reason: "this is no name of a manifest entry"})
		case checkpoint:
			v.checkpoints[n] = true
		default:
			v.entries[n] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	numbers := slices.Sorted(maps.Keys(v.entries))
	for n := range v.checkpoints {
		if !v.entries[n] {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	if len(numbers) == 0 || numbers[0] == 1 {
		v.state = newState()
	}
	for _, n := range numbers {
		if err := v.number(n); err != nil {
			return err
		}
	}
	return nil
}

// number checks the entry and the checkpoint of one number, and moves the state.
func (v *verifier) number(n uint64) error {
	next, err := v.entry(n)
	if err := v.found(err); err != nil {
		return err
	}
	if !v.checkpoints[n] {
		v.state = next
		return nil
	}
	name := checkpointName(n)
	data, err := v.lake.store.Read(v.ctx, name)
	if err != nil {
		return err
	}
	v.seen(name)
	c, err := openCheckpoint(name, data)
	switch {
	case err != nil:
		v.state = next
		return v.found(err)
	case c.Number != n:
		v.problems = append(v.problems, &DamageError{Object: name, Reason: fmt.Sprintf("it is of entry %d", c.Number)})
	case next != nil && !c.equal(next):
		v.problems = append(v.problems, &DamageError{Object: name, Reason: "it is not what the entries before it add up to"})
	case next == nil:
		next = c // entries before it are pruned, or damaged
	}
	v.state = next
	return nil
}

// entry returns the state after an entry, nil when that is not known.
func (v *verifier) entry(n uint64) (*State, error) {
	name := entryName(n)
	if !v.entries[n] {
		if v.state != nil && v.state.Number == n-1 {
			return nil, &DamageError{Object: name, Reason: "the entry is missing"}
		}
		return nil, nil
	}
	data, err := v.lake.store.Read(v.ctx, name)
	if err != nil {
		return nil, err
	}
	v.seen(name)
	if v.state == nil {
		var e Entry
		return nil, unseal(name, data, &e)
	}
	if v.state.Number != n-1 {
		return nil, &DamageError{Object: entryName(n - 1), Reason: "the entry is missing"}
	}
	return step(v.state, name, data)
}

// equal compares what counts.
func (s *State) equal(o *State) bool {
	same := func(a, b *File) bool {
		return a.Path == b.Path && a.SHA256 == b.SHA256 && a.Bytes == b.Bytes && a.Rows == b.Rows
	}
	return s.Number == o.Number && s.Hash == o.Hash && s.Stream == o.Stream && s.Watermark == o.Watermark && s.Rows == o.Rows && maps.EqualFunc(s.Files, o.Files, same)
}

// file checks one data file: its bytes, and that its rows are those that the manifest says.
func (v *verifier) file(f *File) error {
	p, err := v.lake.openWhole(v.ctx, f)
	if errors.Is(err, ErrNotFound) {
		err = &DamageError{Object: f.Path, Reason: "the file is missing"}
	}
	v.seen(f.Path)
	if err != nil {
		return v.found(err)
	}
	rows, last, minSeq, maxSeq := int64(0), "", f.MaxSeq, f.MinSeq
	problem := ""
	err = tables[f.Table].each(p, f.Project, func(r any) error {
		key, place := identity(r)
		if rows > 0 && key <= last {
			problem = fmt.Sprintf("row %d has the key %s, the one before it %s", rows, key, last)
		}
		rows, last, minSeq, maxSeq = rows+1, key, min(minSeq, place), max(maxSeq, place)
		return v.ctx.Err()
	})
	switch {
	case v.ctx.Err() != nil:
		return v.ctx.Err()
	case err != nil:
		problem = err.Error()
	case rows != f.Rows:
		problem = fmt.Sprintf("it has %d rows, the manifest says %d", rows, f.Rows)
	case rows > 0 && (last != f.MaxKey || minSeq != f.MinSeq || maxSeq != f.MaxSeq):
		problem = "its rows are not those that the manifest says"
	}
	if problem != "" {
		v.problems = append(v.problems, &DamageError{Object: f.Path, Reason: problem})
	}
	return nil
}

// identity returns key and place of a row.
func identity(r any) (key string, place int64) {
	switch r := r.(type) {
	case *Decision:
		return r.key(), r.place()
	case *Verdict:
		return r.key(), r.place()
	case *Feedback:
		return r.key(), r.place()
	case *Deployment:
		return r.key(), r.place()
	}
	return "", 0
}

// ignoreEnd makes the end of a reading no error.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
