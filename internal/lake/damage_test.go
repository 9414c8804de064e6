package lake_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/lake/laketest"
)

// filled makes a lake with entries, checkpoints, compacted files and rows of several tables, and returns its folder and objects.
func filled(t *testing.T) (dir string, objects []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "lake")
	store, err := lake.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	l := laketest.OpenLake(t, store)
	for i := range uint64(70) {
		laketest.Append(t, l, laketest.Batch(10*i+1, 10*i+10))
	}
	for {
		n, err := l.Compact(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	laketest.Append(t, l, &lake.Batch{Stream: "s", After: 700, Last: 701, Verdicts: []lake.Verdict{{Project: "p", VerdictID: "v", StreamSeq: 701, Time: laketest.Epoch}}})
	if err := l.Sweep(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	err = store.List(t.Context(), "", func(o lake.Object) error { objects = append(objects, o.Name); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return dir, objects
}

// flip flips one random bit of an object and returns what flips it back.
func flip(t *testing.T, r *rand.Rand, path string) (what string, back func()) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at, bit := r.IntN(len(data)), r.IntN(8)
	write := func() {
		data[at] ^= 1 << bit
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	return fmt.Sprintf("bit %d of byte %d of %d", bit, at, len(data)), write
}

func TestEverySingleFlippedBitIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	dir, objects := filled(t)
	store, err := lake.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if problems, err := lake.VerifyStore(t.Context(), store, nil); err != nil || len(problems) > 0 {
		t.Fatalf("before any damage: %v, %v", problems, err)
	}
	flips := 300
	if testing.Short() {
		flips = 60
	}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range flips {
		name := objects[r.IntN(len(objects))]
		what, back := flip(t, r, filepath.Join(dir, filepath.FromSlash(name)))
		problems, err := lake.VerifyStore(t.Context(), store, nil)
		if err != nil {
			t.Errorf("%s, %s: %v", name, what, err)
		}
		named := false
		for _, p := range problems {
			named = named || strings.Contains(p.Error(), name)
		}
		if !named {
			t.Errorf("%s, %s: not named in %v", name, what, problems)
		}
		back()
	}
}

func TestNoDamagedByteIsServed(t *testing.T) {
	t.Parallel()
	dir, objects := filled(t)
	want := map[string]string{}
	for _, d := range laketest.Rows(1, 700) {
		want[d.DecisionID] = fmt.Sprintf("%+v", d)
	}
	rows := laketest.Rows(1, 700)
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	refused := 0
	for range 60 {
		name := objects[r.IntN(len(objects))]
		if !strings.HasSuffix(name, ".parquet") || !strings.Contains(name, "decisions") {
			continue
		}
		what, back := flip(t, r, filepath.Join(dir, filepath.FromSlash(name)))
		store, err := lake.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		l := laketest.OpenLake(t, store)
		serve := func(d *lake.Decision, err error) {
			if _, damaged := errors.AsType[*lake.DamageError](err); damaged {
				refused++
			} else if err != nil {
				t.Errorf("%s, %s: %v, which does not name the damage", name, what, err)
			} else if fmt.Sprintf("%+v", *d) != want[d.DecisionID] {
				t.Errorf("%s, %s: a wrong row was served", name, what)
			}
		}
		for range 20 {
			d := rows[r.IntN(len(rows))]
			serve(l.FindDecision(t.Context(), d.Project, d.DecisionID))
		}
		err = l.Each(t.Context(), lake.Decisions, lake.Filter{}, func(row any) error { serve(row.(*lake.Decision), nil); return nil })
		serve(&rows[0], err)
		back()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("no reading was refused, so this shows nothing")
	}
}

func TestAMissingObjectIsNamed(t *testing.T) {
	t.Parallel()
	dir, objects := filled(t)
	store, err := lake.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	live := laketest.OpenLake(t, store).State().Files
	for i, name := range objects {
		_, data := live[name]
		entry := strings.HasPrefix(name, "_manifest/") && !strings.Contains(name, "checkpoint") && !strings.Contains(name, "00000000000000000001.json")
		if !data && !(entry && i%5 == 0 && i < 40) {
			continue // replaced files, and checkpoints, may go
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		problems, err := lake.VerifyStore(t.Context(), store, nil)
		if err != nil || len(problems) == 0 {
			t.Errorf("%s is missing: %v, %v", name, problems, err)
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
	}
}
