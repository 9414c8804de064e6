package ledger_test

import (
	"context"
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

// held is how many decisions they hold.
const held = 50

func record(t *testing.T) *recorded {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lake")
	store, err := lake.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := &recorded{journal: openJournal(t), bus: startBus(t), dir: dir}
	r.lake, r.stop = sink(t, r.bus, store)
	r.records = publish(t, r.bus, "p", held)
	for _, rec := range r.records {
		if _, err := r.journal.Append(t.Context(), entry(t, "p", rec.GetDecision().GetDecisionId())); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.journal.Release(held); err != nil {
		t.Fatal(err)
	}
	waitRows(t, r.lake, held)
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
	r := record(t)
	if problems, report := r.verify(t); problems != "" || report.Entries != 50 || report.Messages != 50 || report.Rows != 50 || report.Objects < 2 {
		t.Errorf("%+v, problems: %s", report, problems)
	}
}

func TestADecisionThatIsMissingSomewhereIsNamed(t *testing.T) {
	t.Parallel()
	r := record(t)
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
	r := record(t)
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
	r := record(t)
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

func TestAMessageThatIsMissingInTheStreamIsNamed(t *testing.T) {
	t.Parallel()
	r := record(t)
	msgs := []bus.Msg{}
	for _, id := range []string{"a", "b", "c"} {
		msgs = append(msgs, bus.Msg{Subject: "switchyard.p.reviews", ID: id, Data: []byte("x")})
	}
	if err := r.bus.PublishBatch(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	s, err := r.bus.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), held+2); err != nil {
		t.Fatal(err)
	}
	if problems, _ := r.verify(t); problems != "stream: message 52 is missing" {
		t.Errorf("found: %s", problems)
	}
}

func TestAnErasureLeavesNoGap(t *testing.T) {
	t.Parallel()
	r := record(t)
	e := ledger.Eraser{Log: eraseLog{log{r.bus}}, Open: func() *lake.Lake { return r.lake }}
	if _, err := e.Erase(t.Context(), "p", "person-7"); err != nil {
		t.Fatal(err)
	}
	if problems, _ := r.verify(t); problems != "" {
		t.Errorf("after an erasure: %s", problems)
	}
}

// eraseLog is a stream that messages can be taken out of.
type eraseLog struct{ log }

func (e eraseLog) Message(ctx context.Context, seq uint64) (subject string, data []byte, ok bool, err error) {
	s, err := e.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return "", nil, false, err
	}
	m, err := s.GetMsg(ctx, seq)
	if err != nil {
		return "", nil, false, err
	}
	return m.Subject, m.Data, true, nil
}

func (e eraseLog) Overwrite(ctx context.Context, seq uint64) error {
	s, err := e.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return err
	}
	return s.SecureDeleteMsg(ctx, seq)
}

// renamed is a stream that was made anew.
type renamed struct{ *bus.Bus }

func (renamed) Identity(context.Context) (string, error) { return "another", nil }

func TestAStreamThatWasMadeAnewIsNamed(t *testing.T) {
	t.Parallel()
	r := record(t)
	report, err := ledger.Verifier{Stream: renamed{r.bus}, Lake: r.lake}.Verify(t.Context())
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Error(), "made anew") {
		t.Errorf("%v, %v", report.Problems, err)
	}
}
