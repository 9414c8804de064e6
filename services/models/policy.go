package models

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// What a policy means where it says nothing, as the contract documents it.
const (
	defaultMaxError      = 0.05
	defaultConfidence    = 0.95
	defaultReviewSeconds = 30
	defaultCurrency      = "EUR"
	// defaultAuditRate is for a new deployment without a policy only: in a policy that was sent, 0 means that nobody wants audits.
	defaultAuditRate = 0.05

	leastMaxError   = 0.001
	mostMaxError    = 0.5
	leastConfidence = 0.5
	mostConfidence  = 0.999
)

// newPolicy returns the policy of a deployment that was made without one.
func newPolicy() *modelsv1.Policy { return &modelsv1.Policy{AuditRate: defaultAuditRate} }

// fill returns a copy of the policy with the defaults filled in, so that what is in force can be read from it. The limits of moderation's
// sides stay 0 where they were: 0 means max_error, and must go on to when somebody reads the policy, changes max_error and sends it back.
func fill(p *modelsv1.Policy, op commonv1.Operation) *modelsv1.Policy {
	p = proto.CloneOf(p)
	orDefault(&p.MaxError, defaultMaxError)
	orDefault(&p.Confidence, defaultConfidence)
	orDefault(&p.ReviewSeconds, defaultReviewSeconds)
	orDefault(&p.Currency, defaultCurrency)
	orDefault(&p.Uncertified, modelsv1.Uncertified_UNCERTIFIED_REVIEW)
	orDefault(&p.Record, modelsv1.RecordMode_RECORD_MODE_SYNC)
	orDefault(&p.InputRetention, commonv1.InputRetention_INPUT_RETENTION_FULL)
	if op == commonv1.Operation_OPERATION_MODERATION {
		orDefault(&p.Profanity, modelsv1.ProfanityAction_PROFANITY_ACTION_REVIEW)
	}
	return p
}

func orDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// digestOfPolicy returns "sha256:" and the hex digest of a filled policy: equal promises have equal digests.
func digestOfPolicy(p *modelsv1.Policy) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode policy: %w", err)
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// checkPolicy checks a filled policy for an operation and the labels of the version that shall keep it.
func checkPolicy(p *modelsv1.Policy, op commonv1.Operation, version *modelsv1.ModelVersion) error {
	for _, f := range []struct {
		name        string
		value       float64
		least, most float64
	}{
		{"max_error", p.GetMaxError(), leastMaxError, mostMaxError},
		{"confidence", p.GetConfidence(), leastConfidence, mostConfidence},
		{"audit_rate", p.GetAuditRate(), 0, 1},
		{"review_seconds", p.GetReviewSeconds(), 0, 3600},
	} {
		if err := checkRange("policy."+f.name, f.value, f.least, f.most); err != nil {
			return err
		}
	}
	if c := p.GetCurrency(); len(c) != 3 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z' || c[2] < 'A' || c[2] > 'Z' {
		return fault.InvalidField("policy.currency", "must be an ISO 4217 code such as EUR")
	}
	if p.GetComputeHourMicros() < 0 || p.GetReviewerHourMicros() < 0 {
		return fault.InvalidField("policy", "prices must not be negative")
	}
	if op == commonv1.Operation_OPERATION_MODERATION {
		return checkModeration(p)
	}
	if p.GetRemoveMaxError() != 0 || p.GetAllowMaxError() != 0 {
		return fault.InvalidField("policy.remove_max_error", "is for moderation only, as is allow_max_error")
	}
	return checkLabels(p, version)
}

func checkModeration(p *modelsv1.Policy) error {
	if len(p.GetLabelMaxError()) > 0 {
		return fault.InvalidField("policy.label_max_error", "is not for moderation; use remove_max_error and allow_max_error")
	}
	remove, allow := sideLimits(p)
	if err := checkRange("policy.remove_max_error", remove, leastMaxError, mostMaxError); err != nil {
		return err
	}
	return checkRange("policy.allow_max_error", allow, leastMaxError, mostMaxError)
}

// sideLimits returns the maximum errors of the sides of moderation.
func sideLimits(p *modelsv1.Policy) (remove, allow float64) {
	remove, allow = p.GetRemoveMaxError(), p.GetAllowMaxError()
	orDefault(&remove, p.GetMaxError())
	orDefault(&allow, p.GetMaxError())
	return remove, allow
}

func checkLabels(p *modelsv1.Policy, version *modelsv1.ModelVersion) error {
	for _, label := range slices.Sorted(maps.Keys(p.GetLabelMaxError())) {
		field := fmt.Sprintf("policy.label_max_error[%q]", label)
		if !slices.Contains(version.GetLabels(), label) {
			return fault.InvalidField(field, "version %d of model %s has no such label", version.GetVersion(), version.GetModel())
		}
		if err := checkRange(field, p.GetLabelMaxError()[label], leastMaxError, mostMaxError); err != nil {
			return err
		}
	}
	return nil
}

func checkRange(field string, v, least, most float64) error {
	if math.IsNaN(v) || v < least || v > most {
		return fault.InvalidField(field, "is %v, must be %v to %v", v, least, most)
	}
	return nil
}
