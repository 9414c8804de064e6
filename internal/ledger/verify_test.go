package ledger_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/ledger"
)

// recorded is a journal, a stream and a lake that hold the same decisions.
type recorded struct {
	journal *journal.Journal
	bus     *bus.Bus
	lake    *lake.Lake
	dir     string // of the lake
	records []*commonv1.DecisionRecord
	stop    func()
}

func record(t *testing.T, n int) *recorded {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lake")
	store, err := lake.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := &recorded{journal: openJournal(t), bus: startBus(t), dir: dir}
	r.lake, r.stop = sink(t, r.bus, store)
	r.records = publish(t, r.bus, "p", n)
	for _, rec := range r.records {
		if _, err := r.journal.Append(t.Context(), entry(t, "p", rec.GetDecision().GetDecisionId())); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.journal.Release(uint64(n)); err != nil {
		t.Fatal(err)
	}
	waitRows(t, r.lake, int64(n))
	return r
}

// verify returns what a verification finds.
func (r *recorded) verify(t *testing.T) (string, *ledger.Report) {
	t.Helper()
	report, err := ledger.Verifier{Journal: r.journal, Stream: log{r.bus}, Lake: r.lake}.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range report.Problems {
		all = append(all, p.Error())
	}
	return strings.Join(all, "\n"), report
}

func TestWhatIsWholeHasNoProblems(t *testing.T) {
	t.Parallel()
	r := record(t, 50)
	if problems, report := r.verify(t); problems != "" || report.Entries != 50 || report.Messages != 50 || report.Rows != 50 || report.Objects < 2 {
		t.Errorf("%+v, problems: %s", report, problems)
	}
}

func TestADecisionThatIsMissingSomewhereIsNamed(t *testing.T) {
	t.Parallel()
	r := record(t, 50)
	r.stop()
	// One is acknowledged and handed on by the journal only.
	lost := full("p", 99)
	if _, err := r.journal.Append(t.Context(), entry(t, "p", lost.GetDecision().GetDecisionId())); err != nil {
		t.Fatal(err)
	}
	if err := r.journal.Release(51); err != nil {
		t.Fatal(err)
	}
	// Another was taken out of the stream.
	s, err := r.bus.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	problems, report := r.verify(t)
	for _, want := range []string{
		"decision p/" + lost.GetDecision().GetDecisionId() + " was acknowledged and handed on by the journal, and is neither in the stream nor in the lake",
		"stream: message 20, decision p/" + r.records[19].GetDecision().GetDecisionId() + ", is missing",
	} {
		if !strings.Contains(problems, want) {
			t.Errorf("%q is not in:\n%s", want, problems)
		}
	}
	if len(report.Problems) != 2 {
		t.Errorf("%d problems, want 2:\n%s", len(report.Problems), problems)
	}
}

func TestADecisionThatTheLakeLeftOutIsNamed(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	records := publish(t, b, "p", 10)
	l, err := lake.Open(t.Context(), folder(t), lake.Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	// A lake that claims the first ten messages and holds none of them.
	if err := l.Append(t.Context(), &lake.Batch{Stream: "s", Last: 10}); err != nil {
		t.Fatal(err)
	}
	r := &recorded{journal: openJournal(t), bus: b, lake: l}
	problems, report := r.verify(t)
	if len(report.Problems) != 10 || !strings.Contains(problems, "decision p/"+records[3].GetDecision().GetDecisionId()+", message 4 of the stream, is not in it") {
		t.Errorf("%d problems:\n%s", len(report.Problems), problems)
	}
}

func TestAStreamThatWasTrimmedIsNoProblem(t *testing.T) {
	t.Parallel()
	r := record(t, 50)
	s, err := r.bus.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(31)); err != nil {
		t.Fatal(err)
	}
	if problems, _ := r.verify(t); problems != "" {
		t.Errorf("the lake has what the stream has not any more, yet: %s", problems)
	}
}

func TestDamageInTheLakeIsNamedByTheLedger(t *testing.T) {
	t.Parallel()
	r := record(t, 50)
	r.stop()
	for path := range r.lake.State().Files {
		name := filepath.Join(r.dir, filepath.FromSlash(path))
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 16
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if problems, _ := r.verify(t); !strings.Contains(problems, path) {
			t.Errorf("%s is damaged, found was: %s", path, problems)
		}
		return
	}
}
