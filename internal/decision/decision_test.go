package decision_test

import (
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/decision/decisiontest"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

const operation = commonv1.Operation_OPERATION_CLASSIFICATION

func text(s string) decision.Input { return decision.Input{Text: s} }

func target(p *modelsv1.Policy) decision.Target {
	d := &decisiontest.Deployment{Name: "d", Policy: p, Model: &decisiontest.Model{ModelInfo: engine.Info{Digest: "sha256:m"}}}
	return d.Target(operation)
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const (
		automated = commonv1.Outcome_OUTCOME_AUTOMATED
		review    = commonv1.Outcome_OUTCOME_REVIEW
	)
	promised := decision.Threshold{At: 0.9, Certificate: "c1", Certified: true}
	stopped := decision.Threshold{At: 0.9, Certificate: "c1", Certified: true, Halted: true}
	for name, c := range map[string]struct {
		score       float64
		threshold   decision.Threshold
		automate    bool
		outcome     commonv1.Outcome
		reason      commonv1.DecisionReason
		certificate string
		uncertified bool
	}{
		"above":                           {0.95, promised, false, automated, commonv1.DecisionReason_DECISION_REASON_CERTIFIED, "c1", false},
		"exactly at it":                   {0.9, promised, false, automated, commonv1.DecisionReason_DECISION_REASON_CERTIFIED, "c1", false},
		"below":                           {0.89, promised, false, review, commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD, "", false},
		"below, risk accepted":            {0.89, promised, true, review, commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD, "", false},
		"nothing promised":                {1, decision.Threshold{}, false, review, commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED, "", false},
		"risk accepted":                   {0.1, decision.Threshold{}, true, automated, commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED, "", true},
		"stopped, above":                  {0.95, stopped, false, review, commonv1.DecisionReason_DECISION_REASON_HALTED, "", false},
		"stopped, below":                  {0.5, stopped, false, review, commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD, "", false},
		"stopped, risk accepted":          {1, decision.Threshold{Halted: true}, true, review, commonv1.DecisionReason_DECISION_REASON_HALTED, "", false},
		"stopped, nothing promised":       {1, decision.Threshold{Halted: true}, false, review, commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED, "", false},
		"not a number is never automated": {math.NaN(), promised, false, review, commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD, "", false},
	} {
		got := decision.Judge(c.score, c.threshold, c.automate)
		want := decision.Verdict{Outcome: c.outcome, Reason: c.reason, Stage: commonv1.Stage_STAGE_MODEL, CertificateID: c.certificate, Uncertified: c.uncertified}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

type sides map[string]float64

func (s sides) Judge(side string, score float64) decision.Verdict {
	at, ok := s[side]
	return decision.Judge(score, decision.Threshold{At: at, Certificate: side, Certified: ok}, false)
}

func TestChooseAMultiLabelAnswerByItsLeastCertainLabel(t *testing.T) {
	t.Parallel()
	info := &engine.Info{Task: engine.Multilabel, OutOfScope: -1, Labels: []string{"a", "b", "c"}}
	for name, c := range map[string]struct {
		p      []float32
		chosen []string
		passes bool
	}{
		"all sure":       {[]float32{0.96875, 0.03125, 0.9375}, []string{"a", "c"}, true},
		"one in doubt":   {[]float32{0.96875, 0.5, 0.9375}, []string{"a", "b", "c"}, false},
		"surely nothing": {[]float32{0.03125, 0.03125, 0}, nil, true},
	} {
		got := decision.Choose(info, c.p, sides{"": 0.9})
		if !slices.Equal(got.Chosen, c.chosen) || (got.Outcome == commonv1.Outcome_OUTCOME_AUTOMATED) != c.passes {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := decision.Choose(info, nil, sides{}); got.Top != -1 || got.Outcome != commonv1.Outcome_OUTCOME_REVIEW {
		t.Errorf("without labels: %+v", got)
	}
}

func TestDecisionHoldsTheTwentyBestLabelsAndTheRecordAll(t *testing.T) {
	t.Parallel()
	m := decision.New(decision.Deps{Recorder: &decisiontest.Recorder{}})
	labels, p := make([]string, 300), make([]float32, 300)
	for i := range p {
		labels[i], p[i] = string(rune('a'+i)), float32((i*7919)%300)/300
	}
	tt := target(nil)
	r := m.Make(&decision.Call{Operation: operation}, &tt, &decision.Answer{Labels: labels, Probabilities: p})
	got := r.GetDecision().GetLabels()
	if len(got) != 20 || len(r.GetProbabilities()) != 300 {
		t.Fatalf("%d labels, %d probabilities", len(got), len(r.GetProbabilities()))
	}
	for i, l := range got {
		if want := float64(float32(299-i) / 300); l.GetProbability() != want || l.GetLabel() != labels[slices.Index(p, float32(want))] {
			t.Errorf("label %d is %v, want probability %v", i, l, want)
		}
	}
	p[0] = 5
	if r.GetProbabilities()[0] == 5 {
		t.Error("the record shares the caller's slice")
	}
}

func TestAuditsAreDrawnFromAutomatedDecisionsOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome     commonv1.Outcome
		rate, draw  float64
		selected    bool
		probability float64
	}{
		"drawn":       {commonv1.Outcome_OUTCOME_AUTOMATED, 0.1, 0.0999, true, 0.1},
		"not drawn":   {commonv1.Outcome_OUTCOME_AUTOMATED, 0.1, 0.1, false, 0.1},
		"no audits":   {commonv1.Outcome_OUTCOME_AUTOMATED, 0, 0, false, 0},
		"all audited": {commonv1.Outcome_OUTCOME_AUTOMATED, 1, 0.9999, true, 1},
		"review":      {commonv1.Outcome_OUTCOME_REVIEW, 1, 0, false, 0},
	} {
		m := decision.New(decision.Deps{Recorder: &decisiontest.Recorder{}, Random: func() float64 { return c.draw }})
		tt := target(&modelsv1.Policy{AuditRate: c.rate, ReviewerHourMicros: 36_000_000, ReviewSeconds: 60})
		d := m.Make(&decision.Call{}, &tt, &decision.Answer{Verdict: decision.Verdict{Outcome: c.outcome}}).GetDecision()
		if d.GetAudit().GetSelected() != c.selected || d.GetAudit().GetProbability() != c.probability {
			t.Errorf("%s: %v", name, d.GetAudit())
		}
		if reviewed := c.selected || c.outcome == commonv1.Outcome_OUTCOME_REVIEW; (d.GetCost().GetReviewMicros() == 600_000) != reviewed {
			t.Errorf("%s: cost %v", name, d.GetCost())
		}
	}
}

func TestACallThatIsBegunAgainDrawsTheSameAudits(t *testing.T) {
	t.Parallel()
	tt := target(&modelsv1.Policy{AuditRate: 0.2, ReviewerHourMicros: 36_000_000, ReviewSeconds: 60})
	ctx := telemetry.WithRequest(t.Context(), &telemetry.Request{Seed: decision.NewID()})
	const n = 5000
	begin := func() (ids []string, selected []bool) {
		m := decision.New(decision.Deps{Recorder: &decisiontest.Recorder{}})
		made := make([]*commonv1.DecisionRecord, n)
		err := m.Many(ctx, &tt, n, func(i int) *commonv1.DecisionRecord {
			made[i] = m.Make(&decision.Call{Seed: telemetry.Seed(ctx)}, &tt, &decision.Answer{Verdict: decision.Verdict{Outcome: commonv1.Outcome_OUTCOME_AUTOMATED}})
			return made[i]
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range made {
			d := r.GetDecision()
			ids, selected = append(ids, d.GetDecisionId()), append(selected, d.GetAudit().GetSelected())
			if (d.GetCost().GetReviewMicros() > 0) != d.GetAudit().GetSelected() || d.GetCost().GetTotalMicros() != d.GetCost().GetReviewMicros()+d.GetCost().GetComputeMicros() {
				t.Fatalf("audit %v costs %v", d.GetAudit(), d.GetCost())
			}
		}
		return ids, selected
	}
	ids, selected := begin()
	again, alike := begin()
	if !slices.Equal(ids, again) || !slices.Equal(selected, alike) {
		t.Error("the repetition has other ids or audits")
	}
	audits := 0
	for _, s := range selected {
		if s {
			audits++
		}
	}
	if share := float64(audits) / n; math.Abs(share-0.2) > 0.03 { // five standard deviations
		t.Errorf("the share of audits is %v, the policy says 0.2", share)
	}
}

func TestSumOfCostsEqualsTheMeter(t *testing.T) {
	t.Parallel()
	m := decision.New(decision.Deps{Recorder: &decisiontest.Recorder{}})
	tt := target(&modelsv1.Policy{ComputeHourMicros: 100_000_000}) // 20 µs cost 0.556 millionths
	sum := int64(0)
	const n = 20_000
	for range n {
		sum += m.Make(&decision.Call{}, &tt, &decision.Answer{Compute: 20 * time.Microsecond}).GetDecision().GetCost().GetTotalMicros()
	}
	if exact := n * 100e6 * 20e-6 / 3600; math.Abs(float64(sum)-exact) > 500 {
		t.Errorf("costs sum to %d, the meter says %.0f", sum, exact)
	}
}

func TestRecordKeepsTheInputAsThePolicySays(t *testing.T) {
	t.Parallel()
	in := decision.Input{
		Title: "from joe@example.com", Text: "call +43 660 1234567", Locale: "de", Channel: "email",
		Fields: map[string]*commonv1.FieldValue{"mail": {Value: &commonv1.FieldValue_Text{Text: "joe@example.com"}}, "n": {Value: &commonv1.FieldValue_Number{Number: 4}}},
	}
	m := decision.New(decision.Deps{Recorder: &decisiontest.Recorder{}})
	record := func(how commonv1.InputRetention) *commonv1.DecisionRecord {
		tt := target(&modelsv1.Policy{InputRetention: how})
		return m.Make(&decision.Call{}, &tt, &decision.Answer{Input: in})
	}
	full, redacted, absent := record(commonv1.InputRetention_INPUT_RETENTION_UNSPECIFIED), record(commonv1.InputRetention_INPUT_RETENTION_REDACTED), record(commonv1.InputRetention_INPUT_RETENTION_ABSENT)
	if full.GetInputRetention() != commonv1.InputRetention_INPUT_RETENTION_FULL || full.GetInput().GetText() != in.Text || full.GetInput().GetFields()["mail"].GetText() != "joe@example.com" {
		t.Errorf("full: %v", full)
	}
	if got := redacted.GetInput(); got.GetTitle() != "from [email]" || got.GetText() != "call [phone]" || got.GetFields()["mail"].GetText() != "[email]" || got.GetFields()["n"].GetNumber() != 4 || got.GetLocale() != "de" {
		t.Errorf("redacted: %v", redacted)
	}
	if in.Fields["mail"].GetText() != "joe@example.com" {
		t.Error("redaction changed the request")
	}
	if absent.GetInput() != nil || absent.GetInputRetention() != commonv1.InputRetention_INPUT_RETENTION_ABSENT {
		t.Errorf("absent: %v", absent)
	}
	if !slices.Equal(full.GetInputSha256(), absent.GetInputSha256()) || len(absent.GetInputSha256()) != 32 {
		t.Error("the hash depends on the retention")
	}
}

func TestRecordMasksTheNamesAndFieldsOfThePolicy(t *testing.T) {
	t.Parallel()
	in := decision.Input{
		Text:   "Anna Huber asked again",
		Fields: map[string]*commonv1.FieldValue{"customer": {Value: &commonv1.FieldValue_Text{Text: "somebody"}}, "note": {Value: &commonv1.FieldValue_Text{Text: "for ANNA HUBER"}}},
	}
	m := decision.New(decision.Deps{Recorder: &decisiontest.Recorder{}})
	for range 2 { // the second time with the compiled rules
		tt := target(&modelsv1.Policy{
			InputRetention: commonv1.InputRetention_INPUT_RETENTION_REDACTED, RedactNames: []string{"Anna Huber"}, RedactFields: []string{"customer"},
		})
		tt.Deployment.PolicyDigest = "sha256:names"
		got := m.Make(&decision.Call{}, &tt, &decision.Answer{Input: in}).GetInput()
		if got.GetText() != "[name] asked again" || got.GetFields()["customer"].GetText() != "[masked]" || got.GetFields()["note"].GetText() != "for [name]" {
			t.Errorf("kept: %v", got)
		}
	}
	if in.Fields["customer"].GetText() != "somebody" {
		t.Error("masking changed the request")
	}
}

func TestDigestSeesThroughInvisibleDifferencesOnly(t *testing.T) {
	t.Parallel()
	same := [][2]decision.Input{
		{text("a\r\nb"), text("a\nb")},
		{text(" a "), text("a")},
		{text("e\u0301"), text("é")},
		{{Fields: map[string]*commonv1.FieldValue{"a": {}, "b": {}}}, {Fields: map[string]*commonv1.FieldValue{"b": {}, "a": {}}}},
	}
	for _, p := range same {
		if p[0].Digest() != p[1].Digest() {
			t.Errorf("%v and %v differ", p[0], p[1])
		}
	}
	different := []decision.Input{
		text("ab"),
		{Title: "ab"},
		{Title: "a", Text: "b"},
		{Title: "", Text: "a b"},
		text("Ab"),
		{Locale: "ab"},
		{Channel: "ab"},
		{Fields: map[string]*commonv1.FieldValue{"ab": {Value: &commonv1.FieldValue_Boolean{}}}},
		{Fields: map[string]*commonv1.FieldValue{"ab": {Value: &commonv1.FieldValue_Text{}}}},
		{Fields: map[string]*commonv1.FieldValue{"ab": {Value: &commonv1.FieldValue_Number{}}}},
	}
	seen := map[[32]byte]int{}
	for i := range different {
		if j, ok := seen[different[i].Digest()]; ok {
			t.Errorf("inputs %d and %d have one digest", i, j)
		}
		seen[different[i].Digest()] = i
	}
}

func TestIDsAreUniqueSortedUUIDv7(t *testing.T) {
	t.Parallel()
	const n = 10000
	lists := make([][]string, 4)
	done := make(chan struct{})
	for g := range lists {
		go func() {
			for range n {
				lists[g] = append(lists[g], decision.NewID())
			}
			done <- struct{}{}
		}()
	}
	for range lists {
		<-done
	}
	seen := map[string]bool{}
	for _, list := range lists {
		if !slices.IsSorted(list) {
			t.Error("ids of one goroutine are not in order")
		}
		for _, id := range list {
			if len(id) != 36 || id[14] != '7' || id[19] != '8' && id[19] != '9' && id[19] != 'a' && id[19] != 'b' || seen[id] {
				t.Fatalf("id %s", id)
			}
			seen[id] = true
		}
	}
}

func TestDecisionsAreCounted(t *testing.T) {
	t.Parallel()
	counted := &metrics{}
	m := decision.New(decision.Deps{Recorder: &decisiontest.Recorder{}, Metrics: counted})
	tt := target(nil)
	r := m.Make(&decision.Call{Operation: operation, Start: m.Now()}, &tt, &decision.Answer{
		Verdict: decision.OutOfScope(), Labels: []string{"a"}, Probabilities: []float32{1},
	})
	if err := m.Record(t.Context(), &tt, r); err != nil {
		t.Fatal(err)
	}
	want := telemetry.DecisionLabels{Operation: "classification", Deployment: "d", Outcome: "review", Stage: "model", ModelVersion: 1}
	if len(counted.labels) != 1 || counted.labels[0] != want {
		t.Errorf("counted %+v", counted.labels)
	}
}

type metrics struct{ labels []telemetry.DecisionLabels }

func (m *metrics) Record(l telemetry.DecisionLabels, _ time.Duration) { m.labels = append(m.labels, l) }

func TestBeginNeedsACaller(t *testing.T) {
	t.Parallel()
	if _, err := decision.New(decision.Deps{}).Begin(t.Context(), operation); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_KEY_MISSING {
		t.Errorf("begin without a caller: %v", err)
	}
}

func BenchmarkMake(b *testing.B) {
	m := decision.New(decision.Deps{Recorder: &decisiontest.Recorder{}})
	tt := target(&modelsv1.Policy{AuditRate: 0.01, ComputeHourMicros: 50000})
	labels, p := make([]string, 77), make([]float32, 77)
	for i := range p {
		labels[i], p[i] = string(rune('a'+i)), float32(i*31%77)/77
	}
	a := &decision.Answer{Labels: labels, Probabilities: p, Input: text("a text of some length that somebody sent to us from somewhere")}
	b.ReportAllocs()
	for b.Loop() {
		m.Make(&decision.Call{}, &tt, a)
	}
}

func TestDefectBehindAnItemIsLoggedAndNotSent(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	m := decision.New(decision.Deps{Log: slog.New(slog.NewTextHandler(&out, nil))})
	e := m.ItemError(&decision.Call{RequestID: "r1"}, errors.New("weights on fire"))
	if e.GetReason() != "INTERNAL" || strings.Contains(e.GetMessage(), "fire") {
		t.Errorf("sent: %v", e)
	}
	if !strings.Contains(out.String(), "weights on fire") || !strings.Contains(out.String(), "r1") {
		t.Errorf("logged: %s", out.String())
	}
}

func TestAHaltCoversItsSideAndOneForAllWhatHasNoCertificateOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		halts   []string
		stopped map[string]bool
	}{
		"none":       {nil, map[string]bool{"a": false, "b": false}},
		"one label":  {[]string{"a"}, map[string]bool{"a": true, "b": false}},
		"the others": {[]string{""}, map[string]bool{"a": false, "b": true}},
		"everything": {[]string{"", "a"}, map[string]bool{"a": true, "b": true}},
	} {
		target := (&decisiontest.Deployment{Name: "d", Thresholds: map[string]float64{"": 0.5, "a": 0.5}}).Target(commonv1.Operation_OPERATION_ROUTING)
		target.Deployment.Certificates = []*modelsv1.Certificate{{Side: ""}, {Side: "a"}}
		for _, side := range c.halts {
			target.Deployment.Halts = append(target.Deployment.Halts, &modelsv1.Halt{Side: side})
		}
		for side, want := range c.stopped {
			if got := target.Judge(side, 0.9).Reason == commonv1.DecisionReason_DECISION_REASON_HALTED; got != want {
				t.Errorf("%s: label %s stopped: %v, want %v", name, side, got, want)
			}
		}
	}
}
