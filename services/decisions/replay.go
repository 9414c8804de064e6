package decisions

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/ledger"
)

// Replayer decides again about recorded inputs.
type Replayer interface {
	// Replay calls try with what comes out, once for each state of deployment and rules that may have decided, the most probable one first, until try returns true. revision is
	// that of the deployment. It fails with VERSION_NOT_FOUND when no state of the deployment has the version and the policy of the record.
	Replay(ctx context.Context, r *commonv1.DecisionRecord, try func(again *commonv1.DecisionRecord, revision int64) (done bool)) error
}

// replaying is how many decisions are repeated at once: each may open a model.
const replaying = 4

// ReplayDecision decides again about what one of the caller's decisions was about, and compares.
func (s *Service) ReplayDecision(ctx context.Context, req *decisionsv1.ReplayDecisionRequest) (*decisionsv1.ReplayDecisionResponse, error) {
	if s.replayer == nil {
		return nil, fault.Unavailable("replay")
	}
	caller := auth.FromContext(ctx)
	if caller == nil || caller.Project == "" {
		return nil, fault.KeyMissing()
	}
	key, ok := ledger.NewKey(caller.Project, strings.ToLower(req.GetDecisionId()))
	if !ok {
		return nil, fault.InvalidField("decision_id", "%s is no UUIDv7, which ids of decisions are", req.GetDecisionId())
	}
	r, err := s.lookUp(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := repeatable(r); err != nil {
		return nil, err
	}
	select {
	case s.replays <- struct{}{}:
		defer func() { <-s.replays }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var res *decisionsv1.ReplayDecisionResponse
	err = s.replayer.Replay(ctx, r, func(again *commonv1.DecisionRecord, revision int64) bool {
		differences, compared := compare(r, again)
		if res == nil || len(differences) == 0 {
			res = &decisionsv1.ReplayDecisionResponse{
				Identical: len(differences) == 0, Differences: differences, Recorded: r, Replayed: result(r, again), Revision: revision, LabelsCompared: int32(compared),
			}
		}
		return res.GetIdentical()
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case res == nil:
		return nil, fault.Internal(errors.New("a replay tried nothing"))
	}
	return res, nil
}

// repeatable fails with INPUT_NOT_RECORDED when the record does not hold the input as it was. An input that was redacted but held nothing to mask is as it was: its hash says so.
func repeatable(r *commonv1.DecisionRecord) error {
	id := r.GetDecision().GetDecisionId()
	switch {
	case len(r.GetInputSha256()) == 0:
		return fault.InputNotRecorded(id, "erased")
	case r.GetInput() == nil || r.GetInputRetention() == commonv1.InputRetention_INPUT_RETENTION_ABSENT:
		return fault.InputNotRecorded(id, "absent")
	case r.GetInputRetention() == commonv1.InputRetention_INPUT_RETENTION_REDACTED && !whole(r):
		return fault.InputNotRecorded(id, "redacted")
	}
	return nil
}

func whole(r *commonv1.DecisionRecord) bool {
	in := r.GetInput()
	sum := (&decision.Input{Title: in.GetTitle(), Text: in.GetText(), Locale: in.GetLocale(), Channel: in.GetChannel(), Fields: in.GetFields()}).Digest()
	return string(sum[:]) == string(r.GetInputSha256())
}

// compare names the fields that follow from the input, the deployment and the rules and are not the same, and says how many probabilities it compared.
func compare(was, is *commonv1.DecisionRecord) (all []*decisionsv1.ReplayDifference, labels int) {
	a, b := was.GetDecision(), is.GetDecision()
	add := func(field, recorded, replayed string) {
		if recorded != replayed {
			all = append(all, &decisionsv1.ReplayDifference{Field: field, Recorded: recorded, Replayed: replayed})
		}
	}
	add("input_sha256", hex.EncodeToString(was.GetInputSha256()), hex.EncodeToString(is.GetInputSha256()))
	add("decision.outcome", a.GetOutcome().String(), b.GetOutcome().String())
	add("decision.reason", a.GetReason().String(), b.GetReason().String())
	add("decision.stage", a.GetStage().String(), b.GetStage().String())
	add("decision.variant", a.GetVariant().String(), b.GetVariant().String())
	add("decision.chosen_labels", quoted(a.GetChosenLabels()), quoted(b.GetChosenLabels()))
	add("decision.certificate_id", a.GetCertificateId(), b.GetCertificateId())
	add("decision.uncertified", strconv.FormatBool(a.GetUncertified()), strconv.FormatBool(b.GetUncertified()))
	add("decision.policy_digest", a.GetPolicyDigest(), b.GetPolicyDigest())
	add("decision.audit.probability", float(a.GetAudit().GetProbability()), float(b.GetAudit().GetProbability()))
	if !proto.Equal(a.GetModel(), b.GetModel()) {
		add("decision.model", modelText(a.GetModel()), modelText(b.GetModel()))
	}
	add("action", strconv.Itoa(int(was.GetAction())), strconv.Itoa(int(is.GetAction())))
	add("rule_ids", quoted(was.GetRuleIds()), quoted(is.GetRuleIds()))
	if len(a.GetLabels()) > len(b.GetLabels()) {
		add("decision.labels", fmt.Sprint(len(a.GetLabels()), " labels"), fmt.Sprint(len(b.GetLabels()), " labels"))
	}
	for i, l := range a.GetLabels()[:min(len(a.GetLabels()), len(b.GetLabels()))] { // months later a record holds the first ones only
		add(fmt.Sprintf("decision.labels[%d]", i), labelText(l), labelText(b.GetLabels()[i]))
		labels++
	}
	for i, p := range was.GetProbabilities() {
		if len(is.GetProbabilities()) != len(was.GetProbabilities()) {
			add("probabilities", fmt.Sprint(len(was.GetProbabilities())), fmt.Sprint(len(is.GetProbabilities())))
			break
		}
		add(fmt.Sprintf("probabilities[%d]", i), float(float64(p)), float(float64(is.GetProbabilities()[i])))
	}
	return all, max(labels, len(was.GetProbabilities()))
}

func quoted(s []string) string { return fmt.Sprintf("%q", s) }

// float writes a number so that two that differ in one bit are written differently.
func float(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func labelText(l *commonv1.LabelProbability) string {
	return strconv.Quote(l.GetLabel()) + " " + float(l.GetProbability())
}

func modelText(m *commonv1.ModelRef) string {
	if m == nil {
		return "none"
	}
	return fmt.Sprintf("%s version %d, %s", m.GetName(), m.GetVersion(), m.GetDigest())
}

// result is the decision that came out, with what does not follow from the input as it was recorded.
func result(was, is *commonv1.DecisionRecord) *commonv1.Decision {
	d, old := proto.CloneOf(is.GetDecision()), was.GetDecision()
	d.DecisionId, d.Time, d.Latency, d.Cost = old.GetDecisionId(), old.GetTime(), old.GetLatency(), old.GetCost()
	if d.GetAudit() != nil {
		d.Audit.Selected = old.GetAudit().GetSelected()
	}
	return d
}
