package laketest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/lake"
)

// Open returns a store over an empty place; called again with the same name, another one over the same place.
type Open func(t *testing.T, name string) lake.Store

// RunStore checks what a lake needs of a store.
func RunStore(t *testing.T, open Open) {
	t.Run("WhatIsCreatedIsRead", func(t *testing.T) { created(t, open(t, "created")) })
	t.Run("OneOfManyCreates", func(t *testing.T) { oneOfMany(t, open) })
	t.Run("ListsByPrefix", func(t *testing.T) { lists(t, open(t, "lists")) })
	t.Run("DeletesOnce", func(t *testing.T) { deletes(t, open(t, "deletes")) })
}

func create(t *testing.T, s lake.Store, name string, data []byte) {
	t.Helper()
	if err := s.Create(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
}

func created(t *testing.T, s lake.Store) {
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	create(t, s, "a/b=c/d-1.parquet", data)
	create(t, s, "empty", nil)
	if got, err := s.Read(t.Context(), "a/b=c/d-1.parquet"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes of %d: %v", len(got), len(data), err)
	}
	if got, err := s.Read(t.Context(), "empty"); err != nil || len(got) != 0 {
		t.Errorf("read the empty object: %q, %v", got, err)
	}
	p := make([]byte, 7)
	if err := s.ReadAt(t.Context(), "a/b=c/d-1.parquet", p, 500_003); err != nil || string(p) != "3456789" {
		t.Errorf("read at 500003: %q, %v", p, err)
	}
	for _, offset := range []int64{int64(len(data)) - 3, int64(len(data)) + 10} {
		if err := s.ReadAt(t.Context(), "a/b=c/d-1.parquet", p, offset); err == nil || errors.Is(err, lake.ErrNotFound) {
			t.Errorf("read beyond the end at %d: %v", offset, err)
		}
	}
	if _, err := s.Read(t.Context(), "a/nothing"); !errors.Is(err, lake.ErrNotFound) {
		t.Errorf("read what is not there: %v", err)
	}
	if err := s.ReadAt(t.Context(), "nothing", p, 0); !errors.Is(err, lake.ErrNotFound) {
		t.Errorf("read a part of what is not there: %v", err)
	}
	if err := s.Create(t.Context(), "empty", []byte("x")); !errors.Is(err, lake.ErrExists) {
		t.Errorf("create it again: %v", err)
	}
	if got, _ := s.Read(t.Context(), "empty"); len(got) != 0 {
		t.Errorf("a refused create has changed the object to %q", got)
	}
}

// oneOfMany is what commits rest on.
func oneOfMany(t *testing.T, open Open) {
	for round := range 10 {
		var won atomic.Int32
		var wg sync.WaitGroup
		name := fmt.Sprint("contested/", round)
		for i := range 8 {
			s := open(t, "many")
			wg.Go(func() {
				err := s.Create(t.Context(), name, fmt.Append(nil, "writer ", i))
				switch {
				case err == nil:
					won.Add(1)
					if got, err := s.Read(t.Context(), name); err != nil || string(got) != fmt.Sprint("writer ", i) {
						t.Errorf("the winner reads %q: %v", got, err)
					}
				case !errors.Is(err, lake.ErrExists):
					t.Errorf("create: %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d of 8 writers created the same object", won.Load())
		}
	}
}

func lists(t *testing.T, s lake.Store) {
	names := []string{"a/1", "a/2", "ab/1", "b/c/d/1"}
	for _, n := range names {
		create(t, s, n, []byte(n))
	}
	for prefix, want := range map[string][]string{"": names, "a/": {"a/1", "a/2"}, "b/": {"b/c/d/1"}, "z/": nil} {
		var got []string
		err := s.List(t.Context(), prefix, func(o lake.Object) error {
			if o.Size != int64(len(o.Name)) || o.Modified.IsZero() {
				t.Errorf("%s: size %d, modified %v", o.Name, o.Size, o.Modified)
			}
			got = append(got, o.Name)
			return nil
		})
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("list %q: %v, %v, want %v", prefix, got, err, want)
		}
	}
	if err := s.List(t.Context(), "", func(lake.Object) error { return errSkip }); !errors.Is(err, errSkip) {
		t.Errorf("an error of the callback: %v", err)
	}
}

func deletes(t *testing.T, s lake.Store) {
	create(t, s, "x/y", []byte("1"))
	for range 2 {
		if err := s.Delete(t.Context(), "x/y"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Read(t.Context(), "x/y"); !errors.Is(err, lake.ErrNotFound) {
		t.Errorf("read what was deleted: %v", err)
	}
	create(t, s, "x/y", []byte("2"))
}
