package laketest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/lake"
)

// RunLake checks what a lake promises, over any store.
func RunLake(t *testing.T, open Open) {
	t.Run("EveryRowOnceHoweverManyWrite", func(t *testing.T) { manyWriters(t, open) })
	t.Run("ARepetitionIsLeftOut", func(t *testing.T) { repeated(t, open(t, "repeated")) })
	t.Run("AGapIsRefused", func(t *testing.T) { gap(t, open(t, "gap")) })
	t.Run("AnotherStreamCountsAnew", func(t *testing.T) { anotherStream(t, open(t, "another")) })
	t.Run("AWriterFollowsAnother", func(t *testing.T) { followed(t, open) })
	t.Run("CompactionChangesNoRow", func(t *testing.T) { compacted(t, open(t, "compacted")) })
	t.Run("OldDaysGo", func(t *testing.T) { retained(t, open(t, "retained")) })
	t.Run("ListsNewestFirst", func(t *testing.T) { listed(t, open(t, "listed")) })
	t.Run("APersonIsErased", func(t *testing.T) { erased(t, open(t, "erased")) })
	t.Run("AFileThatNobodyCommittedGoes", func(t *testing.T) { swept(t, open(t, "swept")) })
	t.Run("LongLogsStartQuickly", func(t *testing.T) { longLog(t, open(t, "long")) })
}

// Epoch is when the rows that Rows makes begin.
var Epoch = time.Date(2026, 5, 4, 22, 0, 0, 0, time.UTC)

// Rows makes decisions with places from first to last in the stream, of the projects p and q, ten seconds apart, always the same for the same place.
func Rows(first, last uint64) []lake.Decision {
	rows := make([]lake.Decision, 0, last-first+1)
	for seq := first; seq <= last; seq++ {
		at := Epoch.Add(time.Duration(seq) * 10 * time.Second)
		r := rand.New(rand.NewPCG(seq, 1))
		label := []string{"hardware", "billing", "access"}[r.IntN(3)]
		rows = append(rows, lake.Decision{
			Project: []string{"p", "q"}[seq%2], DecisionID: fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", at.UnixMilli()>>16, at.UnixMilli()&0xffff, r.IntN(4096), r.IntN(4096), r.Uint64N(1<<48)),
			StreamSeq: int64(seq), Time: at, Operation: "routing", Deployment: "support", Outcome: []string{"automated", "review"}[r.IntN(2)],
			Reason: "certified", Label: label, ChosenLabels: []string{label}, Labels: []string{label, "other"}, Probabilities: []float32{0.75, 0.25},
			Stage: "model", Variant: "champion", ModelName: "support", ModelVersion: 1, ModelDigest: "sha256:m", PolicyDigest: "sha256:p", CertificateID: "c",
			AuditSelected: r.IntN(10) == 0, AuditProbability: 0.1, LatencyNanos: r.Int64N(1e6), ComputeNanos: r.Int64N(1e5), CostMicros: r.Int64N(3), Currency: "EUR",
			InputRetention: "full", InputSHA256: []byte(fmt.Sprintf("%032d", seq)), Text: fmt.Sprint("text ", seq), Title: "title", Fields: `{"a":1}`, Caller: "key",
			RequestID: fmt.Sprint("request-", seq), SubjectID: fmt.Sprint("person-", seq%7), ContentID: fmt.Sprint("ticket-", seq), RuleIDs: []string{},
		})
	}
	return rows
}

// Batch makes a batch of such rows.
func Batch(first, last uint64) *lake.Batch {
	return &lake.Batch{Stream: "s", After: first - 1, Last: last, Decisions: Rows(first, last)}
}

// Config is a lake that keeps nothing for readers that are still reading.
func Config() lake.Config {
	c := lake.Default()
	c.Grace = time.Nanosecond
	return c
}

// OpenLake opens a lake.
func OpenLake(t *testing.T, s lake.Store) *lake.Lake {
	t.Helper()
	l, err := lake.Open(t.Context(), s, Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Append appends or fails the test.
func Append(t *testing.T, l *lake.Lake, b *lake.Batch) {
	t.Helper()
	if err := l.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// All returns all decisions by their place.
func All(t *testing.T, l *lake.Lake) []lake.Decision {
	t.Helper()
	var rows []lake.Decision
	err := l.Each(t.Context(), lake.Decisions, lake.Filter{}, func(r any) error {
		rows = append(rows, *r.(*lake.Decision))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(rows, func(a, b lake.Decision) int { return int(a.StreamSeq - b.StreamSeq) })
	return rows
}

// Check compares all decisions with those that were appended.
func Check(t *testing.T, l *lake.Lake, want []lake.Decision) {
	t.Helper()
	got := All(t, l)
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		if g, w := fmt.Sprintf("%+v", got[i]), fmt.Sprintf("%+v", want[i]); g != w {
			t.Fatalf("row %d is\n%s, want\n%s", i, g, w)
		}
	}
	if problems, err := l.Verify(t.Context(), nil); err != nil || len(problems) > 0 {
		t.Fatalf("verify: %v, %v", problems, err)
	}
}

// manyWriters lets writers take overlapping parts of one stream at once, as two sinks do, and some of them start anew.
func manyWriters(t *testing.T, open Open) {
	const last, writers = 300, 4
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			l := OpenLake(t, open(t, "writers"))
			for {
				from := l.State().WatermarkOf("s") + 1
				if from > last {
					return
				}
				if err := l.Append(t.Context(), Batch(from, min(last, from+r.Uint64N(60)))); err != nil {
					t.Error(err)
					return
				}
				if r.IntN(3) == 0 {
					l = OpenLake(t, open(t, "writers"))
				}
			}
		})
	}
	wg.Wait()
	Check(t, OpenLake(t, open(t, "writers")), Rows(1, last))
}

func repeated(t *testing.T, s lake.Store) {
	l := OpenLake(t, s)
	Append(t, l, Batch(1, 50))
	Append(t, l, Batch(51, 100))
	// The last messages of the first part come a second time under new places, and one twice in the same batch.
	b := Batch(101, 110)
	again := Rows(40, 51)
	again = append(again, again[0])
	for i := range again {
		again[i].StreamSeq = int64(111 + i)
	}
	b.Decisions, b.Last = append(b.Decisions, again...), 110+uint64(len(again))
	Append(t, l, b)
	Check(t, l, Rows(1, 110))
	if w := l.State().WatermarkOf("s"); w != 123 {
		t.Errorf("the lake is at %d, want 123", w)
	}
	Append(t, l, Batch(1, 100)) // all of it is there
	Check(t, OpenLake(t, s), Rows(1, 110))
	// A call that was cut off is begun again the day after: the same id, another time.
	late := Rows(7, 8)
	for i := range late {
		late[i].StreamSeq, late[i].Time = int64(124+i), late[i].Time.Add(24*time.Hour)
	}
	Append(t, l, &lake.Batch{Stream: "s", After: 123, Last: 125, Decisions: late})
	Check(t, OpenLake(t, s), Rows(1, 110))
}

func gap(t *testing.T, s lake.Store) {
	l := OpenLake(t, s)
	Append(t, l, Batch(1, 10))
	if err := l.Append(t.Context(), Batch(12, 20)); !errors.Is(err, lake.ErrGap) {
		t.Errorf("a batch that leaves out message 11: %v", err)
	}
	b := Batch(11, 20)
	b.Decisions, b.Lost = b.Decisions[5:], []lake.Range{{First: 11, Last: 15}}
	Append(t, l, b)
	if lost := OpenLake(t, s).State().Lost; !slices.Equal(lost, []lake.Range{{First: 11, Last: 15}}) {
		t.Errorf("what the stream has lost is noted as %v", lost)
	}
}

func anotherStream(t *testing.T, s lake.Store) {
	l := OpenLake(t, s)
	Append(t, l, Batch(1, 10))
	b := Batch(11, 20)
	for i := range b.Decisions {
		b.Decisions[i].StreamSeq -= 10
	}
	b.Stream, b.After, b.Last = "new", 0, 10
	want := append(Rows(1, 10), b.Decisions...)
	want = slices.Clone(want)
	Append(t, l, b)
	if got := len(All(t, l)); got != len(want) {
		t.Errorf("%d rows of two streams, want %d", got, len(want))
	}
}

func followed(t *testing.T, open Open) {
	a, b := OpenLake(t, open(t, "followed")), OpenLake(t, open(t, "followed"))
	for i := range uint64(5) {
		Append(t, a, Batch(10*i+1, 10*i+10))
		if err := b.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		Check(t, b, Rows(1, 10*i+10))
	}
}

func compacted(t *testing.T, s lake.Store) {
	l := OpenLake(t, s)
	const last = 2000 // over the end of a day
	for first := uint64(1); first < last; first += 50 {
		Append(t, l, Batch(first, first+49))
	}
	before := len(l.State().Files)
	reader := OpenLake(t, s) // knows the files of before
	for {
		n, err := l.Compact(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		if err := l.Sweep(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if after := len(l.State().Files); after > before/4 {
		t.Errorf("%d files of %d are left", after, before)
	}
	Check(t, l, Rows(1, last))
	Check(t, reader, Rows(1, last))
	Append(t, l, Batch(last+1, last+50))
	Check(t, OpenLake(t, s), Rows(1, last+50))
}

func retained(t *testing.T, s lake.Store) {
	c := Config()
	c.Retention = map[string]time.Duration{"p": 24 * time.Hour}
	l, err := lake.Open(t.Context(), s, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	Append(t, l, Batch(1, 2000)) // 5.5 hours, from 22:00 on
	removed, err := l.Retain(t.Context(), Epoch.Add(26*time.Hour+time.Minute))
	if err != nil || removed == 0 {
		t.Fatalf("%d files removed: %v", removed, err)
	}
	for _, r := range All(t, l) {
		if r.Project == "p" && r.Time.Before(Epoch.Add(2*time.Hour)) {
			t.Fatalf("a row of %v is left", r.Time)
		}
	}
	left := len(All(t, l))
	if want := 1000 + 1000 - 359; left != want && left != want-1 {
		t.Errorf("%d rows are left, want about %d: all of q, and of p those of the second day", left, want)
	}
}

func erased(t *testing.T, s lake.Store) {
	l := OpenLake(t, s)
	Append(t, l, Batch(1, 300))
	Append(t, l, &lake.Batch{Stream: "s", After: 300, Last: 301, Verdicts: []lake.Verdict{{
		Project: "p", VerdictID: "v1", StreamSeq: 301, Time: Epoch, DecisionID: "d", Labels: []string{"a"}, Note: "their name is Joe", SubjectID: "person-3",
	}}})
	report, err := l.Erase(t.Context(), "p", "person-3")
	if err != nil {
		t.Fatal(err)
	}
	want, hit := Rows(1, 300), 0
	for i := range want {
		if w := &want[i]; w.Project == "p" && w.SubjectID == "person-3" {
			hit++
			w.Text, w.Title, w.Fields, w.InputSHA256, w.InputRetention = "", "", "", []byte{}, "absent"
			w.SubjectID, w.ContentID, w.RequestID = "", "", ""
		}
	}
	got := All(t, l)
	for i := range got {
		if got[i].ErasedAt.IsZero() != (want[i].SubjectID != "") {
			t.Errorf("row %d was erased at %v", i, got[i].ErasedAt)
		}
		got[i].ErasedAt = time.Time{}
		if g, w := fmt.Sprintf("%+v", got[i]), fmt.Sprintf("%+v", want[i]); g != w {
			t.Fatalf("row %d is\n%s, want\n%s", i, g, w)
		}
	}
	if report.Rows[lake.Decisions] != int64(hit) || report.Rows[lake.Verdicts] != 1 || len(report.Places) != hit+1 {
		t.Errorf("the report says %+v, erased were %d decisions and a verdict", report, hit)
	}
	if again, err := l.Erase(t.Context(), "p", "person-3"); err != nil || again.Rows[lake.Decisions] != 0 {
		t.Errorf("erasing again: %+v, %v", again, err)
	}
	// Nothing of it is left in any object.
	err = s.List(t.Context(), "project=p/", func(o lake.Object) error {
		if l.State().Files[o.Name] == nil {
			t.Errorf("%s was replaced and is still there", o.Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func swept(t *testing.T, s lake.Store) {
	l := OpenLake(t, s)
	Append(t, l, Batch(1, 10))
	create(t, s, "project=p/kind=decisions/date=2026-05-04/00000000000000000001-00000000000000000002-0000000000000000.parquet", []byte("not finished"))
	if err := l.Sweep(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	err := s.List(t.Context(), "project=p/", func(o lake.Object) error {
		if l.State().Files[o.Name] == nil {
			t.Errorf("%s is left", o.Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	Check(t, l, Rows(1, 10))
}

func longLog(t *testing.T, s lake.Store) {
	l := OpenLake(t, s)
	const n = 200
	for i := range uint64(n) {
		Append(t, l, &lake.Batch{Stream: "s", After: i, Last: i + 1}) // events of no table
	}
	if err := l.Sweep(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	entries := 0
	if err := s.List(t.Context(), "_manifest/", func(lake.Object) error { entries++; return nil }); err != nil {
		t.Fatal(err)
	}
	if entries > n-50 {
		t.Errorf("%d objects of the manifest are left after %d entries", entries, n)
	}
	Append(t, OpenLake(t, s), Batch(n+1, n+10))
	Check(t, OpenLake(t, s), Rows(n+1, n+10))
	// One who was away for long finds the lake again.
	if err := l.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	Check(t, l, Rows(n+1, n+10))
}

// listed pages through lists while rows are added and files are compacted.
func listed(t *testing.T, s lake.Store) {
	l := OpenLake(t, s)
	for first := uint64(1); first < 600; first += 40 {
		Append(t, l, Batch(first, first+39))
	}
	rows := Rows(1, 600)
	for name, q := range map[string]lake.Query{
		"all":        {},
		"a label":    {Label: "billing"},
		"an outcome": {Outcome: "review", Deployment: "support", Operation: "routing", Reason: "certified"},
		"a time":     {From: Epoch.Add(1000 * time.Second), To: Epoch.Add(3000 * time.Second)},
		"a content":  {ContentID: "ticket-222"},
		"a person":   {SubjectID: "person-4"},
		"nothing":    {Label: "unheard of"},
		"nobody":     {SubjectID: "person-99"},
	} {
		var want []string
		for _, r := range slices.Backward(rows) {
			if r.Project == "p" && (q.Label == "" || r.Label == q.Label) && (q.Outcome == "" || r.Outcome == q.Outcome) && (q.From.IsZero() || !r.Time.Before(q.From) && r.Time.Before(q.To)) &&
				(q.ContentID == "" || r.ContentID == q.ContentID) && (q.SubjectID == "" || r.SubjectID == q.SubjectID) {
				want = append(want, r.DecisionID)
			}
		}
		q.Project, q.Limit = "p", 17
		var got []string
		for pages := 0; ; pages++ {
			page, next, err := l.List(t.Context(), q)
			if err != nil || len(page) > q.Limit || pages > 100 {
				t.Fatalf("%s, page %d: %d rows, %v", name, pages, len(page), err)
			}
			for _, r := range page {
				got = append(got, r.DecisionID)
			}
			if next == "" {
				break
			}
			q.Before = next
			switch {
			case name == "all" && pages == 1:
				Append(t, l, Batch(601, 650))
			case name == "all" && pages == 3:
				if _, err := l.Compact(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if name != "all" { // whose rows were added before, or while it ran
			got = slices.DeleteFunc(got, func(id string) bool {
				return slices.ContainsFunc(Rows(601, 650), func(r lake.Decision) bool { return r.DecisionID == id })
			})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, want %d in this order", name, len(got), len(want))
		}
	}
}
