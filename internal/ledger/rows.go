package ledger

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// name is an enum's value as the lake and people write it, such as "below_threshold"; "" for the zero value.
func name(value fmt.Stringer, prefix string) string {
	s := strings.ToLower(strings.TrimPrefix(value.String(), prefix))
	if s == "unspecified" {
		return ""
	}
	return s
}

// number is the reverse of name; what is unknown is 0.
func number(values map[string]int32, prefix, s string) int32 {
	return values[prefix+strings.ToUpper(s)]
}

// decisionRow turns a record into a row of the lake.
func decisionRow(r *commonv1.DecisionRecord, seq uint64) (lake.Decision, error) {
	d, in := r.GetDecision(), r.GetInput()
	at := d.GetTime().AsTime()
	fields, err := fieldsJSON(in.GetFields())
	if err != nil {
		return lake.Decision{}, fmt.Errorf("decision %s: %w", d.GetDecisionId(), err)
	}
	row := lake.Decision{
		Project: d.GetProject(), DecisionID: d.GetDecisionId(), StreamSeq: int64(seq),
		Time: at.Truncate(time.Microsecond), TimeNanos: int32(at.Nanosecond() % 1000),
		Operation: name(d.GetOperation(), "OPERATION_"), Deployment: d.GetDeployment(),
		Outcome: name(d.GetOutcome(), "OUTCOME_"), Reason: name(d.GetReason(), "DECISION_REASON_"),
		ChosenLabels: d.GetChosenLabels(), Action: r.GetAction(),
		Stage: name(d.GetStage(), "STAGE_"), Variant: name(d.GetVariant(), "VARIANT_"),
		ModelName: d.GetModel().GetName(), ModelVersion: d.GetModel().GetVersion(), ModelDigest: d.GetModel().GetDigest(),
		PolicyDigest: d.GetPolicyDigest(), CertificateID: d.GetCertificateId(), Uncertified: d.GetUncertified(),
		AuditSelected: d.GetAudit().GetSelected(), AuditProbability: d.GetAudit().GetProbability(),
		LatencyNanos: int64(d.GetLatency().AsDuration()), ComputeNanos: int64(d.GetCost().GetCompute().AsDuration()),
		CostMicros: d.GetCost().GetTotalMicros(), ComputeCostMicros: d.GetCost().GetComputeMicros(), ReviewCostMicros: d.GetCost().GetReviewMicros(),
		Currency:       d.GetCost().GetCurrency(),
		InputRetention: name(r.GetInputRetention(), "INPUT_RETENTION_"), InputSHA256: r.GetInputSha256(),
		Text: in.GetText(), Title: in.GetTitle(), Fields: fields, Locale: in.GetLocale(), Channel: in.GetChannel(), RuleIDs: r.GetRuleIds(),
		Caller: r.GetCaller(), RequestID: r.GetRequestId(), Traceparent: r.GetTraceparent(), IdempotencyKey: r.GetIdempotencyKey(),
		SubjectID: r.GetSubjectId(), ContentID: r.GetContentId(),
	}
	if len(row.ChosenLabels) > 0 {
		row.Label = row.ChosenLabels[0]
	}
	for i, l := range d.GetLabels() {
		if i == lake.MaxLabels {
			break
		}
		row.Labels = append(row.Labels, l.GetLabel())
		row.Probabilities = append(row.Probabilities, float32(l.GetProbability())) // models answer in this precision
	}
	return row, nil
}

// decisionRecord turns a row of the lake back into the record, without the labels beyond lake.MaxLabels.
func decisionRecord(row *lake.Decision) (*commonv1.DecisionRecord, error) {
	fields, err := fieldsOf(row.Fields)
	if err != nil {
		return nil, fmt.Errorf("decision %s: %w", row.DecisionID, err)
	}
	d := &commonv1.Decision{
		DecisionId: row.DecisionID, Project: row.Project,
		Operation: commonv1.Operation(number(commonv1.Operation_value, "OPERATION_", row.Operation)), Deployment: row.Deployment,
		Time:         timestamppb.New(row.Time.Add(time.Duration(row.TimeNanos))),
		Outcome:      commonv1.Outcome(number(commonv1.Outcome_value, "OUTCOME_", row.Outcome)),
		Reason:       commonv1.DecisionReason(number(commonv1.DecisionReason_value, "DECISION_REASON_", row.Reason)),
		ChosenLabels: row.ChosenLabels,
		Stage:        commonv1.Stage(number(commonv1.Stage_value, "STAGE_", row.Stage)),
		PolicyDigest: row.PolicyDigest, CertificateId: row.CertificateID, Uncertified: row.Uncertified,
		Variant: commonv1.Variant(number(commonv1.Variant_value, "VARIANT_", row.Variant)),
		Audit:   &commonv1.Audit{Selected: row.AuditSelected, Probability: row.AuditProbability},
		Latency: durationpb.New(time.Duration(row.LatencyNanos)),
		Cost: &commonv1.Cost{
			TotalMicros: row.CostMicros, ComputeMicros: row.ComputeCostMicros, ReviewMicros: row.ReviewCostMicros, Currency: row.Currency,
			Compute: durationpb.New(time.Duration(row.ComputeNanos)),
		},
	}
	if row.ModelDigest != "" {
		d.Model = &commonv1.ModelRef{Name: row.ModelName, Version: row.ModelVersion, Digest: row.ModelDigest}
	}
	for i, l := range row.Labels {
		if i < len(row.Probabilities) {
			d.Labels = append(d.Labels, &commonv1.LabelProbability{Label: l, Probability: float64(row.Probabilities[i])})
		}
	}
	r := &commonv1.DecisionRecord{
		Decision: d, Caller: row.Caller, Traceparent: row.Traceparent, IdempotencyKey: row.IdempotencyKey, SubjectId: row.SubjectID, ContentId: row.ContentID,
		InputSha256: row.InputSHA256, RuleIds: row.RuleIDs, Action: row.Action, RequestId: row.RequestID,
		InputRetention: commonv1.InputRetention(number(commonv1.InputRetention_value, "INPUT_RETENTION_", row.InputRetention)),
	}
	if r.GetInputRetention() != commonv1.InputRetention_INPUT_RETENTION_ABSENT {
		r.Input = &commonv1.RecordedInput{Text: row.Text, Title: row.Title, Fields: fields, Locale: row.Locale, Channel: row.Channel}
	}
	return r, nil
}

// fieldsJSON writes the fields of a record as a JSON object, so that every reader understands them.
func fieldsJSON(fields map[string]*commonv1.FieldValue) (string, error) {
	if len(fields) == 0 {
		return "", nil
	}
	values := make(map[string]any, len(fields))
	for name, v := range fields {
		switch v := v.GetValue().(type) {
		case *commonv1.FieldValue_Number:
			values[name] = v.Number
		case *commonv1.FieldValue_Text:
			values[name] = v.Text
		case *commonv1.FieldValue_Boolean:
			values[name] = v.Boolean
		}
	}
	data, err := json.Marshal(values)
	return string(data), err
}

func fieldsOf(text string) (map[string]*commonv1.FieldValue, error) {
	if text == "" {
		return nil, nil
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, fmt.Errorf("read fields: %w", err)
	}
	fields := make(map[string]*commonv1.FieldValue, len(values))
	for name, v := range values {
		switch v := v.(type) {
		case float64:
			fields[name] = &commonv1.FieldValue{Value: &commonv1.FieldValue_Number{Number: v}}
		case string:
			fields[name] = &commonv1.FieldValue{Value: &commonv1.FieldValue_Text{Text: v}}
		case bool:
			fields[name] = &commonv1.FieldValue{Value: &commonv1.FieldValue_Boolean{Boolean: v}}
		}
	}
	return fields, nil
}

// verdictRow turns a verdict into a row.
func verdictRow(v *reviewv1.Verdict, seq uint64) lake.Verdict {
	a := v.GetAnswer()
	return lake.Verdict{
		Project: v.GetProject(), VerdictID: v.GetVerdictId(), StreamSeq: int64(seq), Time: micros(v.GetSubmitTime()),
		DecisionID: v.GetDecisionId(), ItemID: v.GetItemId(), Operation: name(v.GetOperation(), "OPERATION_"), Deployment: v.GetDeployment(),
		Labels: a.GetLabels(), Action: int32(a.GetAction()), OutOfScope: a.GetOutOfScope(), NotSure: a.GetNotSure(), ReasonCode: a.GetReason(), Note: a.GetNote(),
		SpentNanos: int64(a.GetTimeSpent().AsDuration()),
		Role:       name(v.GetRole(), "VERDICT_ROLE_"), Reviewer: v.GetReviewer(), KeyID: v.GetKeyId(), Final: v.GetFinal(), Blind: v.GetBlind(), Agrees: v.GetAgrees(),
		Overturns: v.GetOverturns(), Round: v.GetRound(), Gold: v.GetGold(), GoldRight: v.GetGoldRight(), GroupID: v.GetGroupId(),
		Outcome: name(v.GetOutcome(), "OUTCOME_"), AuditSelected: v.GetAudit().GetSelected(), AuditProbability: v.GetAudit().GetProbability(),
		DecideTime: micros(v.GetDecideTime()), ModelDigest: v.GetModelDigest(), InputSHA256: v.GetInputSha256(), SubjectID: v.GetSubjectId(),
		SelectionID: v.GetSelection().GetSelectionId(), SelectionChosen: v.GetSelection().GetChosen(),
		SelectionProbability: v.GetSelection().GetProbability(), SelectionLeast: v.GetSelection().GetLeast(),
	}
}

// verdictOf turns a row of the lake back into the verdict.
func verdictOf(v *lake.Verdict) *reviewv1.Verdict {
	out := &reviewv1.Verdict{
		VerdictId: v.VerdictID, ItemId: v.ItemID, DecisionId: v.DecisionID, Project: v.Project, Operation: commonv1.Operation(number(commonv1.Operation_value, "OPERATION_", v.Operation)),
		Deployment: v.Deployment, Role: reviewv1.VerdictRole(number(reviewv1.VerdictRole_value, "VERDICT_ROLE_", v.Role)), Reviewer: v.Reviewer, KeyId: v.KeyID,
		Answer: &reviewv1.Answer{
			Labels: v.Labels, Action: moderationv1.Action(v.Action), OutOfScope: v.OutOfScope, NotSure: v.NotSure, Reason: v.ReasonCode, Note: v.Note,
			TimeSpent: durationpb.New(time.Duration(v.SpentNanos)),
		},
		SubmitTime: timestamppb.New(v.Time), Final: v.Final, Blind: v.Blind, Agrees: v.Agrees, Overturns: v.Overturns, Round: v.Round, Gold: v.Gold, GoldRight: v.GoldRight,
		GroupId: v.GroupID, Outcome: commonv1.Outcome(number(commonv1.Outcome_value, "OUTCOME_", v.Outcome)), ModelDigest: v.ModelDigest, InputSha256: v.InputSHA256,
		Audit: &commonv1.Audit{Selected: v.AuditSelected, Probability: v.AuditProbability}, SubjectId: v.SubjectID,
	}
	if !v.DecideTime.IsZero() {
		out.DecideTime = timestamppb.New(v.DecideTime)
	}
	return out
}

// feedbackRow turns feedback into a row.
func feedbackRow(f *reviewv1.Feedback, seq uint64) lake.Feedback {
	return lake.Feedback{
		Project: f.GetProject(), FeedbackID: f.GetFeedbackId(), StreamSeq: int64(seq), Time: micros(f.GetSubmitTime()), ObserveTime: micros(f.GetObserveTime()),
		DecisionID: f.GetDecisionId(), Operation: name(f.GetOperation(), "OPERATION_"), Deployment: f.GetDeployment(),
		Labels: f.GetLabels(), Action: int32(f.GetAction()), OutOfScope: f.GetOutOfScope(), Source: f.GetSource(), Note: f.GetNote(),
		KeyID: f.GetKeyId(), Agrees: f.GetAgrees(), SubjectID: f.GetSubjectId(),
	}
}

// deploymentRow turns an entry of the ledger of deployments into a row.
func deploymentRow(c *modelsv1.DeploymentChange, id string, seq uint64) (lake.Deployment, error) {
	row := lake.Deployment{
		Project: c.GetProject(), EventID: id, StreamSeq: int64(seq), Time: micros(c.GetRecordTime()),
		Operation: name(c.GetOperation(), "OPERATION_"), Deployment: c.GetDeployment(), Revision: c.GetRevision(),
		ModelName: c.GetModel(), ModelVersion: c.GetVersion(), ModelDigest: c.GetVersionDigest(),
		PolicyDigest: c.GetPolicyDigest(), Statement: c.GetState().GetStatement(), Certificates: c.GetCertificateIds(),
		Sequence: c.GetSequence(), Kind: name(c.GetKind(), "DEPLOYMENT_CHANGE_KIND_"), RevisionBefore: c.GetRevisionBefore(), RestoredRevision: c.GetRestoredRevision(),
		Actor: c.GetActor(), ReasonGiven: c.GetReason(), StateSHA256: c.GetStateSha256(), PreviousHash: c.GetPreviousHash(), Hash: c.GetHash(),
	}
	if c.GetTrial() {
		row.RestoredRevision = -1 // as in the hash
	}
	if p := c.GetState().GetPolicy(); p != nil {
		policy, err := protojson.Marshal(p)
		if err != nil {
			return lake.Deployment{}, fmt.Errorf("deployment change %s: %w", id, err)
		}
		row.Policy = string(policy)
	}
	return row, nil
}

// micros is a time in the lake's precision, zero for none.
func micros(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime().Truncate(time.Microsecond)
}
