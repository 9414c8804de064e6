package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/inbox"
)

func open(tb testing.TB, dir string) *db.DB {
	tb.Helper()
	d, err := db.Open(context.Background(), dbtest.Config(tb, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	if err := inbox.Migrate(context.Background(), d); err != nil {
		tb.Fatal(err)
	}
	return d
}

func once(tb testing.TB, d *db.DB, consumer, id string, result error) (fresh bool) {
	tb.Helper()
	err := d.Tx(context.Background(), func(tx *db.Tx) (err error) {
		if fresh, err = inbox.Once(tx, consumer, id); err != nil {
			return err
		}
		return result
	})
	if !errors.Is(err, result) {
		tb.Fatal(err)
	}
	return fresh
}

func TestAnEventIsFreshOnceForEachConsumer(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	for _, want := range []bool{true, false, false} {
		for _, consumer := range []string{"one", "two"} {
			if got := once(t, d, consumer, "id", nil); got != want {
				t.Fatalf("%s: fresh is %v", consumer, got)
			}
		}
	}
	if !once(t, d, "one", "other", nil) {
		t.Error("another event is not fresh")
	}
}

func TestAnEffectThatFailedDoesNotCount(t *testing.T) {
	t.Parallel()
	d, cause := open(t, t.TempDir()), errors.New("the effect failed")
	if !once(t, d, "c", "id", cause) || !once(t, d, "c", "id", nil) || once(t, d, "c", "id", nil) {
		t.Fatal("the event is fresh until its effect is committed, and not after")
	}
}

func TestForgettingTakesOnlyWhatIsOldEnough(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	for i := range 50 {
		once(t, d, "c", fmt.Sprint("old-", i), nil)
	}
	time.Sleep(2 * time.Millisecond)
	between := time.Now()
	time.Sleep(2 * time.Millisecond)
	for i := range 50 {
		once(t, d, "c", fmt.Sprint("new-", i), nil)
	}
	once(t, d, "c", "old-7", nil) // came again: kept
	n, err := inbox.Forget(t.Context(), d, between)
	if err != nil || n != 49 {
		t.Fatalf("%d forgotten, %v", n, err)
	}
	for i := range 50 {
		if once(t, d, "c", fmt.Sprint("new-", i), nil) {
			t.Fatalf("new-%d was forgotten", i)
		}
	}
	if once(t, d, "c", "old-7", nil) {
		t.Error("an id that came again was forgotten")
	}
	if !once(t, d, "c", "old-8", nil) {
		t.Error("an old id is still there")
	}
}

func TestForgettingManyGoesInSmallTransactions(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		for i := range 9000 {
			if _, err := tx.Exec(`INSERT INTO inbox (consumer, id, seen) VALUES ('c', ?, ?)`, fmt.Sprint(i), i+1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := inbox.Forget(t.Context(), d, time.UnixMicro(8001)); err != nil || n != 8000 {
		t.Fatalf("%d forgotten, %v", n, err)
	}
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	for _, bad := range [][2]string{{"", "id"}, {"c", ""}, {strings.Repeat("c", 65), "id"}, {"c", strings.Repeat("i", 1025)}} {
		err := d.Tx(t.Context(), func(tx *db.Tx) error { _, err := inbox.Once(tx, bad[0], bad[1]); return err })
		if err == nil {
			t.Errorf("%.10q was taken", bad)
		}
	}
	if err := (inbox.Config{Keep: time.Minute}).Validate(); err == nil {
		t.Error("a minute was taken")
	}
	if err := inbox.Default().Validate(); err != nil {
		t.Error(err)
	}
}
