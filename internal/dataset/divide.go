package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Side is what a row is for.
type Side string

// The sides. Purged rows are on neither.
const (
	Train  Side = "train"
	Test   Side = "test"
	Purged Side = "purged"
)

// Ways to divide rows.
const (
	SplitRandom   = "random"
	SplitTime     = "time"
	SplitNone     = "none"
	SplitTestOnly = "test-only"
)

// ErrDivide means that rows cannot be divided as asked; the message says why and what would help.
var ErrDivide = errors.New("rows cannot be divided so")

// Split says how rows are divided.
type Split struct {
	// Method is one of the Split constants.
	Method string
	// TestShare is the share of the rows that test, in (0, 1).
	TestShare float64
	// Seed decides what chance decides.
	Seed uint64
}

// Divide returns the side of every row. Rows need their groups (see Group); no group is ever on both sides.
//
// By chance a group's side follows from its name and the seed alone, so that it is the same in every snapshot. By time the rows after a cut
// test; a group that stands on both sides of the cut trains with its older rows, and the newer ones are purged: they would leak what is
// tested into training, or what was trained on into the test.
func Divide(rows []Row, s Split) ([]Side, error) {
	switch s.Method {
	case SplitRandom:
		return divideRandom(rows, s), nil
	case SplitTime:
		return divideTime(rows, s)
	case SplitNone, SplitTestOnly:
		side := Train
		if s.Method == SplitTestOnly {
			side = Test
		}
		return slices.Repeat([]Side{side}, len(rows)), nil
	}
	return nil, fmt.Errorf("method %q: %w", s.Method, ErrDivide)
}

func divideRandom(rows []Row, s Split) []Side {
	out := make([]Side, len(rows))
	for i, row := range rows {
		out[i] = Train
		if chance(s.Seed, row.Group) < s.TestShare {
			out[i] = Test
		}
	}
	return out
}

// chance returns a number in [0, 1) that follows from the seed and the name.
func chance(seed uint64, name string) float64 {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, seed), name...))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

func divideTime(rows []Row, s Split) ([]Side, error) {
	times := make([]time.Time, 0, len(rows))
	for _, row := range rows {
		if !row.Time.IsZero() {
			times = append(times, row.Time)
		}
	}
	if len(times)*2 < len(rows) || len(times) == 0 {
		return nil, fmt.Errorf("%d of %d rows have a time; name the column of the time, or divide by chance: %w", len(times), len(rows), ErrDivide)
	}
	slices.SortFunc(times, time.Time.Compare)
	cut := times[min(len(times)-1, int(float64(len(times))*(1-s.TestShare)))]
	if !times[0].Before(cut) {
		return nil, fmt.Errorf("all rows before the cut would be of one moment, %s; divide by chance: %w", cut.Format(time.RFC3339), ErrDivide)
	}
	older := map[string]bool{}
	for _, row := range rows {
		if row.Time.Before(cut) { // also rows without a time
			older[row.Group] = true
		}
	}
	out := make([]Side, len(rows))
	for i, row := range rows {
		switch {
		case row.Time.Before(cut):
			out[i] = Train
		case older[row.Group]:
			out[i] = Purged
		default:
			out[i] = Test
		}
	}
	return out, nil
}

// Leaks counts the rows of test whose input, group or person stands in train.
func Leaks(train, test []Row) int {
	keys, groups, persons := make(map[Key]bool, len(train)), map[string]bool{}, map[string]bool{}
	for _, row := range train {
		keys[row.Key()] = true
		groups[row.Group] = row.Group != ""
		persons[row.Person] = row.Person != ""
	}
	n := 0
	for _, row := range test {
		if keys[row.Key()] || groups[row.Group] || persons[row.Person] {
			n++
		}
	}
	return n
}

// Assemble judges rows that come from elsewhere than a file as the readers judge theirs. Row.Line of what is kept is that of the input.
func Assemble(name string, rows []Row, o Options) *Set {
	b := newBuilder(name, o.withDefaults())
	b.set.Format = "rows"
	for _, row := range rows {
		b.about = about{person: row.Person, time: row.Time, attributes: row.Attributes}
		b.set.Lists = b.set.Lists || len(row.Labels) != 1
		if row.Record != nil {
			b.addRecord(row.Line, row.Record, row.Labels)
		} else {
			b.addText(row.Line, "", row.Text, row.Labels)
		}
	}
	return b.finish()
}
