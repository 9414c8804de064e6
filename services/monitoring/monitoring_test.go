package monitoring_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/services/monitoring"
)

func TestAPromiseSaysWhatAuditsShow(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	if s := w.promise(t).GetStatement(); s != "certified error ≤ 5 % (95 %), expected to automate 80 %, audited 0, "+rest(s, "audited 0, ") {
		t.Errorf("statement before any audit: %s", s)
	}
	w.audit(t, "a", "c1", 300, 6)
	p := w.promise(t)
	s := p.GetSides()[0]
	if s.GetAudits() != 300 || s.GetDisagreements() != 6 || s.GetState() != monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING || s.GetAuditsWaiting() != 0 {
		t.Errorf("side: %v", s)
	}
	// 2 % disagreement is less than reviewers' own 3 % explain at most.
	if !(s.GetLiveErrorLower() == 0 && s.GetLiveErrorUpper() > 0.02 && s.GetLiveErrorUpper() < 0.08 && s.GetDisagreement() == 0.02) {
		t.Errorf("bounds: %v", s)
	}
	if p.GetTraffic().GetDecisions() != 300 || p.GetTraffic().GetAutomatedShare() != 1 || p.GetTraffic().GetAudits() != 300 {
		t.Errorf("traffic: %v", p.GetTraffic())
	}
	for _, part := range []string{"certified error ≤ 5 % (95 %)", "automated 100 %", "audited 300", "live error"} {
		if !strings.Contains(p.GetStatement(), part) {
			t.Errorf("the statement lacks %q: %s", part, p.GetStatement())
		}
	}
}

// rest returns what follows a part of a text.
func rest(s, after string) string {
	_, tail, _ := strings.Cut(s, after)
	return tail
}

func TestABrokenPromiseStopsAutomationByItself(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	w.audit(t, "good", "c1", 500, 15)
	if w.registry.halts != 0 {
		t.Fatal("stopped at 3 %")
	}
	w.audit(t, "bad", "c1", 200, 60)
	p := w.until(t, "automation is stopped", func(p *monitoringv1.Promise) bool {
		return p.GetSides()[0].GetState() == monitoringv1.AutomationState_AUTOMATION_STATE_STOPPED
	})
	for _, part := range []string{"automation stopped since", "audits show an error above 5 % (95 %)", "disagreed with"} {
		if !strings.Contains(p.GetStatement(), part) {
			t.Errorf("the statement lacks %q: %s", part, p.GetStatement())
		}
	}
	t.Log(p.GetStatement())
	// Another version has a certificate of its own, and its audits begin at zero.
	w.deploy(t, support(2, "c2"))
	if s := w.promise(t).GetSides()[0]; s.GetState() != monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING || s.GetAudits() != 0 {
		t.Errorf("after another version: %v", s)
	}
	// The version whose promise was broken is still broken, under whatever id its certificate comes back.
	w.deploy(t, support(1, "c3"))
	w.until(t, "the old version is stopped again", func(p *monitoringv1.Promise) bool {
		return p.GetSides()[0].GetState() == monitoringv1.AutomationState_AUTOMATION_STATE_STOPPED
	})
	// Somebody takes the responsibility: the audits begin anew, and those that were drawn before do not count.
	late, verdict := w.audited("late", "c3", 0.1, false)
	w.apply(t, late)
	w.clock.Add(int64(time.Minute))
	d := w.registry.get("support")
	d.Halts, d.UpdateTime = nil, timestamppb.New(w.now())
	w.deploy(t, d)
	w.apply(t, verdict)
	if s := w.promise(t).GetSides()[0]; s.GetState() != monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING || s.GetAudits() != 0 {
		t.Errorf("resumed: %v", s)
	}
	w.audit(t, "after", "c3", 50, 0)
	if s := w.promise(t).GetSides()[0]; s.GetAudits() != 50 {
		t.Errorf("after resuming: %v", s)
	}
}

func TestInputsOfAnotherWorldStopAutomation(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	w.audit(t, "good", "c1", 400, 12)
	for i := range 100 {
		d, v := w.audited(fmt.Sprint("new-", i), "c1", 0.1, i%8 != 0)
		verdict := &reviewv1.Verdict{}
		if err := unmarshal(v.Data, verdict); err != nil {
			t.Fatal(err)
		}
		if i%8 == 0 {
			verdict.Answer = &reviewv1.Answer{OutOfScope: true}
		}
		v.Data = encode(verdict)
		w.apply(t, d, v)
	}
	p := w.until(t, "automation is stopped", func(p *monitoringv1.Promise) bool {
		return p.GetSides()[0].GetState() == monitoringv1.AutomationState_AUTOMATION_STATE_STOPPED
	})
	for _, part := range []string{"automation stopped since", "belong to none of the labels have become more frequent (95 %)", "probably above 5 %", "disagreed with"} {
		if !strings.Contains(p.GetStatement(), part) {
			t.Errorf("the statement lacks %q: %s", part, p.GetStatement())
		}
	}
	t.Log(p.GetStatement())
}

func TestWhatHasToBeStoppedIsStoppedAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	dir, r := t.TempDir(), newRegistry()
	r.fail = errors.New("the registry is away")
	w := open(t, dir, r)
	w.deploy(t, support(1, "c1"))
	w.audit(t, "bad", "c1", 200, 60)
	w.service.Close()
	if r.get("support").GetHalts() != nil {
		t.Fatal("stopped although the registry is away")
	}
	r.mu.Lock()
	r.fail = nil
	r.mu.Unlock()
	again := open(t, dir, r)
	p := again.until(t, "automation is stopped", func(p *monitoringv1.Promise) bool {
		return p.GetSides()[0].GetState() == monitoringv1.AutomationState_AUTOMATION_STATE_STOPPED
	})
	if p.GetSides()[0].GetAudits() != 200 {
		t.Errorf("audits were lost: %v", p.GetSides()[0])
	}
}

func TestEventsCountOnceInWhateverOrderTheyCome(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	var events []monitoring.Event
	for i := range 100 {
		d, v := w.audited("x-"+string(rune('a'+i/10))+string(rune('a'+i%10)), "c1", 0.1, i%10 != 0)
		events = append(events, d, v)
	}
	shuffled := slices.Concat(events, events, events)
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for some := range slices.Chunk(shuffled, 37) {
		w.apply(t, some...)
	}
	p := w.promise(t)
	if s := p.GetSides()[0]; s.GetAudits() != 100 || s.GetDisagreements() != 10 || s.GetAuditsWaiting() != 0 {
		t.Errorf("counted: %v", s)
	}
	if p.GetTraffic().GetDecisions() != 100 {
		t.Errorf("traffic: %v", p.GetTraffic())
	}
}

func TestWhatTellsNothingAboutThePromiseDoesNotCount(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	change := func(id string, fn func(*commonv1.DecisionRecord, *reviewv1.Verdict)) {
		t.Helper()
		d, v := w.audited(id, "c1", 0.1, false)
		record, verdict := &commonv1.DecisionRecord{}, &reviewv1.Verdict{}
		if err := errors.Join(unmarshal(d.Data, record), unmarshal(v.Data, verdict)); err != nil {
			t.Fatal(err)
		}
		fn(record, verdict)
		d.Data, v.Data = encode(record), encode(verdict)
		w.apply(t, d, v)
	}
	change("rule", func(r *commonv1.DecisionRecord, _ *reviewv1.Verdict) {
		r.Decision.Reason, r.Decision.CertificateId = commonv1.DecisionReason_DECISION_REASON_RULE, ""
	})
	change("shadow", func(r *commonv1.DecisionRecord, _ *reviewv1.Verdict) {
		r.Decision.Reason = commonv1.DecisionReason_DECISION_REASON_SHADOW
	})
	change("not drawn", func(r *commonv1.DecisionRecord, v *reviewv1.Verdict) {
		r.Decision.Audit, v.Audit = &commonv1.Audit{Probability: 0.1}, &commonv1.Audit{Probability: 0.1}
	})
	change("not final", func(_ *commonv1.DecisionRecord, v *reviewv1.Verdict) { v.Final = false })
	change("an appeal", func(_ *commonv1.DecisionRecord, v *reviewv1.Verdict) {
		v.Role, v.Round = reviewv1.VerdictRole_VERDICT_ROLE_APPEAL, 1
	})
	change("a test item", func(_ *commonv1.DecisionRecord, v *reviewv1.Verdict) { v.Gold, v.Final = true, false })
	change("another project's", func(r *commonv1.DecisionRecord, v *reviewv1.Verdict) { r.Decision.Project, v.Project = "p2", "p2" })
	change("an impossible probability", func(r *commonv1.DecisionRecord, _ *reviewv1.Verdict) { r.Decision.Audit.Probability = 0 })
	w.apply(t, monitoring.Event{Kind: monitoring.DecisionEvents, ID: "noise", Seq: 9000, Data: []byte("\x0a\xff")},
		monitoring.Event{Kind: monitoring.VerdictEvents, ID: "noise", Seq: 9001, Data: []byte("\xff")})
	if s := w.promise(t).GetSides()[0]; s.GetAudits() != 0 {
		t.Errorf("counted: %v", s)
	}
	if p := w.promise(t); p.GetReviewers().GetAnswers() != 1 || p.GetReviewers().GetWrong() != 1 {
		t.Errorf("test items: %v", p.GetReviewers())
	}
}

func TestAnotherAuditRateGoesOnCounting(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	w.audit(t, "before", "c1", 100, 4)
	d := support(1, "c2") // a new policy makes a new certificate of the same rows
	d.Policy.AuditRate = 0.5
	w.deploy(t, d)
	w.audit(t, "after", "c2", 50, 2)
	if s := w.promise(t).GetSides()[0]; s.GetAudits() != 150 || s.GetDisagreements() != 6 {
		t.Errorf("side: %v", s)
	}
	d.Policy.MaxError, d.Certificates[0].MaxError, d.Certificates[0].CertificateId = 0.1, 0.1, "c3"
	w.deploy(t, d)
	if s := w.promise(t).GetSides()[0]; s.GetAudits() != 0 {
		t.Errorf("another promise goes on with the audits of the old one: %v", s)
	}
}

func TestMeasuredReviewersTakeThePlaceOfTheAssumption(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	if r := w.promise(t).GetReviewers(); r.GetMeasured() || r.GetUpper() != 0.03 {
		t.Errorf("at first: %v", r)
	}
	for i := range 400 {
		d, v := w.audited("gold-"+time.Duration(i).String(), "c1", 0.1, true)
		_ = d
		verdict := &reviewv1.Verdict{}
		if err := unmarshal(v.Data, verdict); err != nil {
			t.Fatal(err)
		}
		verdict.Gold, verdict.Final, verdict.GoldRight = true, false, i%100 != 0
		v.Data = encode(verdict)
		w.apply(t, v)
	}
	if r := w.promise(t).GetReviewers(); !r.GetMeasured() || r.GetAnswers() != 400 || r.GetWrong() != 4 || !(r.GetUpper() > 0.01 && r.GetUpper() < 0.05) {
		t.Errorf("measured: %v", r)
	}
}

func TestSecondOpinionsOnAuditsMeasureReviewersToo(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	for i, role := range []reviewv1.VerdictRole{
		reviewv1.VerdictRole_VERDICT_ROLE_FIRST, reviewv1.VerdictRole_VERDICT_ROLE_SECOND, reviewv1.VerdictRole_VERDICT_ROLE_SECOND, reviewv1.VerdictRole_VERDICT_ROLE_ADJUDICATION,
	} {
		d, v := w.audited("two-"+time.Duration(i).String(), "c1", 0.1, true)
		verdict := &reviewv1.Verdict{}
		if err := unmarshal(v.Data, verdict); err != nil {
			t.Fatal(err)
		}
		verdict.Role = role
		v.Data = encode(verdict)
		w.apply(t, d, v, v)
	}
	if p := w.promise(t); p.GetReviewers().GetAnswers() != 6 || p.GetReviewers().GetWrong() != 1 || p.GetSides()[0].GetAudits() != 4 {
		t.Errorf("reviewers: %v, %d audits", p.GetReviewers(), p.GetSides()[0].GetAudits())
	}
}

func TestAColdStartSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := start(t)
	d := support(1, "c1")
	d.Certificates[0].Certified, d.Certificates[0].Rows, d.Certificates[0].LabelsNeeded = false, 0, 59
	w.deploy(t, d)
	for i := range 7 {
		_, v := w.audited("r-"+time.Duration(i).String(), "", 0, true)
		verdict := &reviewv1.Verdict{}
		if err := unmarshal(v.Data, verdict); err != nil {
			t.Fatal(err)
		}
		verdict.Outcome, verdict.Audit = commonv1.Outcome_OUTCOME_REVIEW, nil
		v.Data = encode(verdict)
		w.apply(t, v)
	}
	p := w.promise(t)
	if s := p.GetSides()[0]; s.GetState() != monitoringv1.AutomationState_AUTOMATION_STATE_NOT_CERTIFIED || s.GetLabelsNeeded() != 59 || p.GetLabelsReviewed() != 7 {
		t.Errorf("promise: %v", p)
	}
	if want := "not certified: error ≤ 5 % (95 %), at least 59 labelled rows of this project are missing, people answered 7 since"; p.GetStatement() != want {
		t.Errorf("statement: %s, want %s", p.GetStatement(), want)
	}
}

func TestScopeAndLabelsThatShiftAreSeen(t *testing.T) {
	t.Parallel()
	dir, r := t.TempDir(), newRegistry()
	w := open(t, dir, r)
	w.deploy(t, support(1, "c1"))
	w.audit(t, "first", "c1", 200, 20)
	for i := range 150 {
		d, v := w.audited("s-"+time.Duration(i).String(), "c1", 0.1, true)
		verdict := &reviewv1.Verdict{}
		if err := unmarshal(v.Data, verdict); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			verdict.Answer = &reviewv1.Answer{OutOfScope: true}
		}
		v.Data = encode(verdict)
		w.apply(t, d, v)
	}
	s := w.promise(t).GetSides()[0]
	if s.GetLabelShift() == nil || s.GetLabelShift().GetPValue() > 1e-6 || s.GetLabelShift().GetDistance() < 0.1 || s.GetLabelShift().GetLabels()[0].GetLabel() != "(out of scope)" {
		t.Errorf("shift: %v", s.GetLabelShift())
	}
	if got := s.GetOutOfScope(); got < 0.08 || got > 0.09 || s.GetOutOfScopeUpper() < got {
		t.Errorf("out of scope %v, at most %v; want 30 of 350", got, s.GetOutOfScopeUpper())
	}
	// Earlier releases counted it apart, the first of them nowhere else: what they stored means the same.
	store, err := db.Open(t.Context(), dbtest.Config(t, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	stored := func(change func(state map[string]json.RawMessage)) {
		t.Helper()
		err := store.Tx(t.Context(), func(tx *db.Tx) error {
			var data []byte
			if _, err := tx.Get(`SELECT state FROM monitoring_states WHERE root = ?`, []any{"c1"}, &data); err != nil {
				return err
			}
			state := map[string]json.RawMessage{}
			if err := json.Unmarshal(data, &state); err != nil {
				return err
			}
			change(state)
			data, err := json.Marshal(state)
			if err != nil {
				return err
			}
			_, err = tx.Exec(`UPDATE monitoring_states SET state = ? WHERE root = ?`, data, "c1")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for release, foreign := range map[string]string{
		"that counted it twice": "", "that counted it apart": `{"blocks": null, "starts": 0}`,
		"that began to count it twice": `{"blocks": [{"start": 0, "strata": [{"propensity": 0.1, "audits": 10, "wrong": 4}]}], "starts": 1}`,
	} {
		stored(func(state map[string]json.RawMessage) {
			if state["scope"] = json.RawMessage(`{"strata": [{"propensity": 0.1, "audits": 350, "wrong": 30}]}`); foreign != "" {
				state["foreign"] = json.RawMessage(foreign)
			}
		})
		got := w.promise(t).GetSides()[0]
		if got.GetOutOfScope() != s.GetOutOfScope() || got.GetOutOfScopeUpper() != s.GetOutOfScopeUpper() {
			t.Errorf("of a release %s: %v, at most %v; want %v and %v", release, got.GetOutOfScope(), got.GetOutOfScopeUpper(), s.GetOutOfScope(), s.GetOutOfScopeUpper())
		}
	}
	w.audit(t, "one-more", "c1", 1, 0)
	if got := w.promise(t).GetSides()[0].GetOutOfScope(); math.Abs(got-30.0/351) > 1e-12 {
		t.Errorf("after one more: %v", got)
	}
	stored(func(state map[string]json.RawMessage) {
		if state["scope"] != nil || state["foreign"] == nil {
			t.Errorf("stored as %v", state)
		}
	})
}

func TestPromisesAreListedPageByPageAndOnlyOnesOwn(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, name := range []string{"a", "b", "c"} {
		d := support(1, "c-"+name)
		d.Name = name
		w.registry.put(d)
	}
	w.deploy(t, support(1, "c1"))
	var got []string
	page := &commonv1.PageRequest{Size: 3}
	for {
		res, err := w.ListPromises(as(t.Context(), "p1"), &monitoringv1.ListPromisesRequest{Page: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range res.GetPromises() {
			got = append(got, p.GetDeployment())
		}
		if page.Token = res.GetPage().GetNextToken(); page.Token == "" {
			break
		}
	}
	if !slices.Equal(got, []string{"a", "b", "c", "support"}) {
		t.Errorf("listed %v", got)
	}
	res, err := w.ListPromises(as(t.Context(), "p2"), &monitoringv1.ListPromisesRequest{})
	if err != nil || len(res.GetPromises()) != 0 {
		t.Errorf("another project sees %v, %v", res, err)
	}
	if _, err := w.GetPromise(as(t.Context(), "p2"), &monitoringv1.GetPromiseRequest{Operation: routing, Deployment: "support"}); err == nil {
		t.Error("another project sees the promise")
	}
}

func unmarshal(data []byte, m proto.Message) error { return proto.Unmarshal(data, m) }
