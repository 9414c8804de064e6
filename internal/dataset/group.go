package dataset

import (
	"cmp"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/switchyard-ai/switchyard/internal/alike"
	"github.com/switchyard-ai/switchyard/internal/cores"
)

// Alikeness counts what Group found.
type Alikeness struct {
	// Duplicates are rows that repeat an earlier input, NearDuplicates rows whose text is nearly that of an earlier row, but not the same.
	Duplicates, NearDuplicates int
	// Persons are the different persons; 0 when no row names one.
	Persons int
	// Largest is how many rows the largest group has.
	Largest int
}

// mostCandidates bounds how many rows of one band are compared with each other: texts that are all alike, such as an empty form, would
// otherwise be compared a million times a million. Rows beyond it are compared with the first ones of the band only.
const mostCandidates = 200

// Group gives rows that belong together one Row.Group: equal inputs, rows of one person, and texts whose likeness (package alike) is at least the given
// one, 0 to leave that out. It is transitive: where one person wrote two texts that others copied, all are one group. The group's name is the key of its
// oldest row, so that it stays the same in a later data set, where the group has grown.
func Group(rows []Row, likeness float64) Alikeness {
	f := newForest(len(rows))
	var found Alikeness
	byKey, byPerson := make(map[Key]int, len(rows)), map[string]int{}
	keys := make([]Key, len(rows))
	for i, row := range rows {
		keys[i] = row.Key()
		if first, ok := byKey[keys[i]]; ok {
			f.join(first, i)
			found.Duplicates++
		} else {
			byKey[keys[i]] = i
		}
		if row.Person == "" {
			continue
		}
		if first, ok := byPerson[row.Person]; ok {
			f.join(first, i)
		} else {
			byPerson[row.Person] = i
		}
	}
	found.Persons = len(byPerson)
	if likeness > 0 {
		found.NearDuplicates = joinAlike(rows, keys, byKey, likeness, f)
	}
	oldest, sizes := make(map[int]int, len(rows)), make(map[int]int, len(rows))
	for i := range rows {
		root := f.find(i)
		have, ok := oldest[root]
		if !ok || cmp.Or(rows[i].Time.Compare(rows[have].Time), slices.Compare(keys[i][:], keys[have][:])) < 0 {
			oldest[root] = i
		}
		sizes[root]++
		found.Largest = max(found.Largest, sizes[root])
	}
	for i := range rows {
		name := keys[oldest[f.find(i)]]
		rows[i].Group = hex.EncodeToString(name[:])
	}
	return found
}

// joinAlike joins rows whose texts are nearly the same, and returns how many rows have such an elder.
func joinAlike(rows []Row, keys []Key, first map[Key]int, likeness float64, f *forest) int {
	sets, bands := signatures(rows)
	type member struct {
		band int64
		row  int
	}
	var members []member
	for i := range rows {
		if first[keys[i]] != i {
			continue // an exact repetition is compared through its first row
		}
		for _, b := range bands[i] {
			members = append(members, member{b, i})
		}
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Or(cmp.Compare(a.band, b.band), cmp.Compare(a.row, b.row)) })
	near := map[int]bool{}
	for at := 0; at < len(members); {
		end := at + 1
		for end < len(members) && members[end].band == members[at].band {
			end++
		}
		for i := at + 1; i < end; i++ {
			for j := at; j < min(i, at+mostCandidates); j++ {
				a, b := members[j].row, members[i].row
				if f.find(a) == f.find(b) && near[b] {
					continue
				}
				if alike.Likeness(sets[a], sets[b]) >= likeness {
					f.join(a, b)
					near[max(a, b)] = true
				}
			}
		}
		at = end
	}
	return len(near)
}

// signatures returns the shingles and band keys of all texts.
func signatures(rows []Row) ([]alike.Set, [][]int64) {
	sets, bands := make([]alike.Set, len(rows)), make([][]int64, len(rows))
	workers := max(1, min(cores.Count(), len(rows)/64))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(rows); i += workers {
				if rows[i].Record == nil {
					sets[i] = alike.Of(rows[i].Text)
					bands[i] = alike.Keys(sets[i])
				}
			}
		})
	}
	wg.Wait()
	return sets, bands
}

// forest is a union-find structure.
type forest struct{ parent []int }

func newForest(n int) *forest {
	f := &forest{parent: make([]int, n)}
	for i := range f.parent {
		f.parent[i] = i
	}
	return f
}

func (f *forest) find(i int) int {
	for f.parent[i] != i {
		f.parent[i] = f.parent[f.parent[i]]
		i = f.parent[i]
	}
	return i
}

func (f *forest) join(a, b int) {
	a, b = f.find(a), f.find(b)
	f.parent[max(a, b)] = min(a, b)
}
