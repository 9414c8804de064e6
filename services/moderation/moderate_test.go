package moderation_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/decision/decisiontest"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/services/moderation"
)

func comments() *decisiontest.Deployment {
	return &decisiontest.Deployment{
		Name: "comments", Harmless: []string{"fine"}, Thresholds: map[string]float64{"remove": 0.9, "allow": 0.9},
		Model: &decisiontest.Model{
			ModelInfo: engine.Info{Kind: engine.KindTextLinear, Task: engine.Multiclass, OutOfScope: -1, Labels: []string{"fine", "toxic"}, Digest: "sha256:m"},
			Words:     map[string][]float32{"lovely": {0.96875, 0.03125}, "hate": {0.03125, 0.96875}},
			Default:   []float32{0.5, 0.5},
			Evidence:  []engine.Evidence{{Feature: "i ha", Start: 2, End: 6, Weight: 1.5}, {Feature: "xt", Start: 6, End: 8, Weight: 1}, {Feature: "te", Start: 9, End: 11, Weight: -0.5}},
		},
	}
}

func rulesOnly(p modelsv1.ProfanityAction) *decisiontest.Deployment {
	return &decisiontest.Deployment{Name: "names", Policy: &modelsv1.Policy{Profanity: p}}
}

// fresh is a database without tables.
func fresh(tb testing.TB) *db.DB {
	tb.Helper()
	return at(tb, filepath.Join(tb.TempDir(), "moderation.db"))
}

// at opens the database at the path.
func at(tb testing.TB, path string) *db.DB {
	tb.Helper()
	d, err := db.Open(tb.Context(), dbtest.Config(tb, path))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

func start(tb testing.TB, recorder decision.Recorder, d *db.DB, ds ...*decisiontest.Deployment) moderationv1.ModerationServiceClient {
	tb.Helper()
	source := decisiontest.Source{}
	for _, x := range ds {
		source[x.Name] = x
	}
	s := moderation.New(moderation.Deps{Maker: decision.New(decision.Deps{Recorder: recorder}), Source: source, DB: d})
	if err := s.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return moderationv1.NewModerationServiceClient(decisiontest.Dial(tb, s.Register))
}

func TestModelDecidesWhenNoRuleDoes(t *testing.T) {
	t.Parallel()
	recorder := &decisiontest.Recorder{}
	client := start(t, recorder, fresh(t), comments())
	for text, want := range map[string]moderationv1.Action{
		"a lovely day": moderationv1.Action_ACTION_ALLOW, "I hate this": moderationv1.Action_ACTION_REMOVE, "hm": moderationv1.Action_ACTION_REVIEW,
	} {
		res, err := client.ModerateText(t.Context(), &moderationv1.ModerateTextRequest{Deployment: "comments", Text: text, AuthorId: "a1", ContentId: "c1"})
		if err != nil {
			t.Fatal(err)
		}
		if res.GetAction() != want || res.GetDecision().GetStage() != commonv1.Stage_STAGE_MODEL {
			t.Errorf("%q: %v", text, res)
		}
	}
	r := recorder.Records()[0]
	if r.GetSubjectId() != "a1" || r.GetContentId() != "c1" || r.GetAction() == 0 || r.GetDecision().GetModel().GetDigest() != "sha256:m" {
		t.Errorf("record: %v", r)
	}
}

func TestEvidenceSpansLieInTitleOrText(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{}, fresh(t), comments())
	res, err := client.ModerateText(t.Context(), &moderationv1.ModerateTextRequest{Deployment: "comments", Title: "I hate x", Text: "text"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range res.GetEvidence() {
		got = append(got, fmt.Sprintf("%s:%s:%d-%d:%v", e.GetNgram(), e.GetLabel(), e.GetSpan().GetStart(), e.GetSpan().GetEnd(), e.GetSpan().GetInTitle()))
	}
	if want := "i ha:toxic:2-6:true xt:toxic:6-8:true te:toxic:0-2:false"; strings.Join(got, " ") != want {
		t.Errorf("evidence %v, want %v", got, want)
	}
	none := int32(0)
	res, err = client.ModerateText(t.Context(), &moderationv1.ModerateTextRequest{Deployment: "comments", Text: "text", MaxEvidence: &none})
	if err != nil || len(res.GetEvidence()) != 0 {
		t.Errorf("evidence %v, %v", res.GetEvidence(), err)
	}
}

func TestRulesApplyAtOnceAndAfterARestart(t *testing.T) {
	t.Parallel()
	d := fresh(t)
	client := start(t, &decisiontest.Recorder{}, d, comments())
	text := &moderationv1.ModerateTextRequest{Deployment: "comments", Title: "buy", Text: "lovely V1AGRA here"}
	created, err := client.CreateRule(t.Context(), &moderationv1.CreateRuleRequest{Kind: moderationv1.RuleKind_RULE_KIND_DENY, Pattern: "viagra", Category: "pills"})
	if err != nil {
		t.Fatal(err)
	}
	again := start(t, &decisiontest.Recorder{}, d, comments())
	for _, c := range []moderationv1.ModerationServiceClient{client, again} {
		res, err := c.ModerateText(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		m := res.GetRuleMatches()
		if res.GetAction() != moderationv1.Action_ACTION_REMOVE || res.GetDecision().GetReason() != commonv1.DecisionReason_DECISION_REASON_RULE ||
			res.GetDecision().GetOutcome() != commonv1.Outcome_OUTCOME_AUTOMATED || res.GetDecision().GetModel() != nil ||
			len(m) != 1 || m[0].GetRuleId() != created.GetRule().GetRuleId() || m[0].GetCategory() != "pills" || m[0].GetSpan().GetStart() != 7 || m[0].GetSpan().GetEnd() != 13 {
			t.Errorf("answer: %v", res)
		}
	}
	if _, err := client.CreateRule(t.Context(), &moderationv1.CreateRuleRequest{Kind: moderationv1.RuleKind_RULE_KIND_DENY, Pattern: "viagra"}); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_ALREADY_EXISTS {
		t.Errorf("same rule again: %v", err)
	}
	if _, err := client.DeleteRule(t.Context(), &moderationv1.DeleteRuleRequest{RuleId: created.GetRule().GetRuleId()}); err != nil {
		t.Fatal(err)
	}
	if res, err := client.ModerateText(t.Context(), text); err != nil || res.GetAction() != moderationv1.Action_ACTION_ALLOW {
		t.Errorf("after the rule was deleted: %v, %v", res, err)
	}
	if _, err := client.DeleteRule(t.Context(), &moderationv1.DeleteRuleRequest{RuleId: created.GetRule().GetRuleId()}); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_NOT_FOUND {
		t.Errorf("deleted twice: %v", err)
	}
}

// TestRulesOfAnotherProcessApply runs two services on the same database, as two processes do.
func TestRulesOfAnotherProcessApply(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "moderation.db")
	here, there := start(t, &decisiontest.Recorder{}, at(t, path), comments()), start(t, &decisiontest.Recorder{}, at(t, path), comments())
	applies := func(c moderationv1.ModerationServiceClient, want bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			res, err := c.ModerateText(t.Context(), &moderationv1.ModerateTextRequest{Deployment: "comments", Title: "buy", Text: "lovely V1AGRA here"})
			if err != nil {
				t.Fatal(err)
			}
			if (res.GetAction() == moderationv1.Action_ACTION_REMOVE) == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the rule applies: %v, want %v", !want, want)
			}
		}
	}
	applies(there, false)
	created, err := here.CreateRule(t.Context(), &moderationv1.CreateRuleRequest{Kind: moderationv1.RuleKind_RULE_KIND_DENY, Pattern: "viagra"})
	if err != nil {
		t.Fatal(err)
	}
	applies(there, true)
	if _, err := there.DeleteRule(t.Context(), &moderationv1.DeleteRuleRequest{RuleId: created.GetRule().GetRuleId()}); err != nil {
		t.Fatal(err)
	}
	applies(there, false)
	applies(here, false)
}

func TestRulesAreListedInPages(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{}, fresh(t))
	for i := range 7 {
		if _, err := client.CreateRule(t.Context(), &moderationv1.CreateRuleRequest{Kind: moderationv1.RuleKind_RULE_KIND_REVIEW, Pattern: fmt.Sprintf("w%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	page := &commonv1.PageRequest{Size: 3}
	for range 3 {
		res, err := client.ListRules(t.Context(), &moderationv1.ListRulesRequest{Page: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range res.GetRules() {
			got = append(got, r.GetPattern())
		}
		page.Token = res.GetPage().GetNextToken()
	}
	if strings.Join(got, " ") != "w0 w1 w2 w3 w4 w5 w6" || page.GetToken() != "" {
		t.Errorf("listed %v, then token %q", got, page.GetToken())
	}
	if _, err := client.ListRules(t.Context(), &moderationv1.ListRulesRequest{Page: &commonv1.PageRequest{Token: "junk"}}); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT {
		t.Errorf("damaged token: %v", err)
	}
}

func TestPatternsNeedSomethingToLookFor(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{}, fresh(t))
	for _, p := range []string{"*", " ", "\u200b\u200b", "...", strings.Repeat("é", 201)} {
		if _, err := client.CreateRule(t.Context(), &moderationv1.CreateRuleRequest{Kind: moderationv1.RuleKind_RULE_KIND_DENY, Pattern: p}); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestProfanityFollowsThePolicy(t *testing.T) {
	t.Parallel()
	for p, want := range map[modelsv1.ProfanityAction]moderationv1.Action{
		modelsv1.ProfanityAction_PROFANITY_ACTION_UNSPECIFIED: moderationv1.Action_ACTION_REVIEW,
		modelsv1.ProfanityAction_PROFANITY_ACTION_OFF:         moderationv1.Action_ACTION_REVIEW, // rules only: nobody vouches
		modelsv1.ProfanityAction_PROFANITY_ACTION_REMOVE:      moderationv1.Action_ACTION_REMOVE,
	} {
		client := start(t, &decisiontest.Recorder{}, fresh(t), rulesOnly(p))
		res, err := client.ModerateText(t.Context(), &moderationv1.ModerateTextRequest{Deployment: "names", Text: "what the fuuuuck"})
		if err != nil {
			t.Fatal(err)
		}
		if res.GetAction() != want {
			t.Errorf("%v: %v", p, res)
		}
		if off := p == modelsv1.ProfanityAction_PROFANITY_ACTION_OFF; off != (len(res.GetRuleMatches()) == 0) ||
			off != (res.GetDecision().GetReason() == commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED) {
			t.Errorf("%v: %v", p, res)
		}
	}
}

func TestBatchReportsBadItemsInPlace(t *testing.T) {
	t.Parallel()
	recorder := &decisiontest.Recorder{}
	client := start(t, recorder, fresh(t), comments())
	res, err := client.BatchModerateText(t.Context(), &moderationv1.BatchModerateTextRequest{Deployment: "comments", Items: []*moderationv1.TextItem{
		{Text: "lovely"}, {Text: "\u2003"}, {Text: strings.Repeat("x", 100001)}, {Text: "shit, I hate it"}, {Title: strings.Repeat("x", 1001), Text: "x"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.GetResults() {
		got = append(got, r.GetAction().String()+r.GetError().GetReason()+r.GetError().GetField())
	}
	want := "ACTION_ALLOW ACTION_UNSPECIFIEDINVALID_ARGUMENTtext ACTION_UNSPECIFIEDINVALID_ARGUMENTtext ACTION_REVIEW ACTION_UNSPECIFIEDINVALID_ARGUMENTtitle"
	if strings.Join(got, " ") != want || len(recorder.Records()) != 2 {
		t.Errorf("results %v, %d records", got, len(recorder.Records()))
	}
}

func TestStreamModeratesInOrder(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{}, fresh(t), comments())
	stream, err := client.StreamModerateText(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"lovely", "I hate it", " ", "fuck"}
	for i, x := range texts {
		req := &moderationv1.StreamModerateTextRequest{Item: &moderationv1.TextItem{Text: x}}
		if i == 0 {
			req.Deployment = "comments"
		}
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	want := []moderationv1.Action{moderationv1.Action_ACTION_ALLOW, moderationv1.Action_ACTION_REMOVE, moderationv1.Action_ACTION_UNSPECIFIED, moderationv1.Action_ACTION_REVIEW}
	for i := range texts {
		res, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if res.GetIndex() != int64(i) || res.GetResult().GetAction() != want[i] {
			t.Errorf("answer %d: %v", i, res)
		}
	}
}

func TestNothingPassesBeforeTheRulesAreLoaded(t *testing.T) {
	t.Parallel()
	s := moderation.New(moderation.Deps{
		Maker: decision.New(decision.Deps{Recorder: &decisiontest.Recorder{}}), Source: decisiontest.Source{"comments": comments()}, DB: fresh(t),
	})
	client := moderationv1.NewModerationServiceClient(decisiontest.Dial(t, s.Register))
	_, err := client.ModerateText(t.Context(), &moderationv1.ModerateTextRequest{Deployment: "comments", Text: "lovely"})
	if decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE {
		t.Errorf("moderated without rules: %v", err)
	}
}

func TestEvidenceOfATrainedModelLiesInTheText(t *testing.T) {
	t.Parallel()
	d := comments()
	d.Model = decisiontest.TextModel(t,
		[2]string{"fine", "what a lovely day"}, [2]string{"fine", "thank you for the photos"}, [2]string{"fine", "see you tomorrow"},
		[2]string{"toxic", "I hate you all"}, [2]string{"toxic", "you are horrible"}, [2]string{"toxic", "go away, I hate this"},
	)
	client := start(t, &decisiontest.Recorder{}, fresh(t), d)
	for _, req := range []*moderationv1.ModerateTextRequest{
		{Text: "Ich sage: I HATE you – ühm"}, {Title: "I hate ü", Text: "horrible, go away"}, {Title: "x", Text: "lovely"},
	} {
		req.Deployment = "comments"
		res, err := client.ModerateText(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if len(res.GetEvidence()) == 0 || len(res.GetEvidence()) > 5 {
			t.Errorf("%d pieces of evidence", len(res.GetEvidence()))
		}
		for _, e := range res.GetEvidence() {
			in := req.GetText()
			if e.GetSpan().GetInTitle() {
				in = req.GetTitle()
			}
			from, to := int(e.GetSpan().GetStart()), int(e.GetSpan().GetEnd())
			if from < 0 || to < from || to > len(in) || !utf8.ValidString(in[from:to]) {
				t.Errorf("%q spans %d to %d of %q", e.GetNgram(), from, to, in)
			}
		}
	}
}

func TestRulesBelongToOneProjectAndAreLimited(t *testing.T) {
	t.Parallel()
	d := fresh(t)
	client := start(t, &decisiontest.Recorder{}, d, comments())
	fill := func(project string, n int) {
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			for i := range n {
				if _, err := tx.Exec(`INSERT INTO moderation_rules (project, rule_id, kind, pattern, category, deployment, created) VALUES (?, ?, 1, ?, '', '', 1)`,
					project, fmt.Sprintf("r%05d", i), fmt.Sprintf("lovely%d", i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fill("other", 2)
	if res, err := client.ListRules(t.Context(), &moderationv1.ListRulesRequest{}); err != nil || len(res.GetRules()) != 0 {
		t.Errorf("another project's rules: %v, %v", res, err)
	}
	if _, err := client.DeleteRule(t.Context(), &moderationv1.DeleteRuleRequest{RuleId: "r00001"}); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_NOT_FOUND {
		t.Errorf("another project's rule deleted: %v", err)
	}
	fill(decisiontest.Project, 10000)
	again := start(t, &decisiontest.Recorder{}, d, comments())
	res, err := again.ModerateText(t.Context(), &moderationv1.ModerateTextRequest{Deployment: "comments", Text: "a lovely9999 day"})
	if err != nil || res.GetAction() != moderationv1.Action_ACTION_REMOVE {
		t.Errorf("rule 9999: %v, %v", res, err)
	}
	if _, err := again.CreateRule(t.Context(), &moderationv1.CreateRuleRequest{Kind: moderationv1.RuleKind_RULE_KIND_DENY, Pattern: "x"}); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_QUOTA_EXCEEDED {
		t.Errorf("rule 10001: %v", err)
	}
}
