package monitoring

import (
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// made is what matters here of a recorded decision.
type made struct {
	id, project, deployment, certificate, digest string
	operation                                    commonv1.Operation
	outcome                                      commonv1.Outcome
	reason                                       commonv1.DecisionReason
	seconds, nanos                               int64
	selected, uncertified                        bool
	propensity                                   float64
}

// Numbers of the fields of DecisionRecord, Decision, Timestamp, ModelRef and Audit; a test compares them with the contract.
const (
	recordDecision      = 1
	decisionID          = 1
	decisionProject     = 2
	decisionOperation   = 3
	decisionDeployment  = 4
	decisionTime        = 5
	decisionOutcome     = 6
	decisionReason      = 7
	decisionModel       = 11
	decisionCertificate = 13
	decisionAudit       = 15
	decisionUncertified = 18
	timestampSeconds    = 1
	timestampNanos      = 2
	modelDigest         = 3
	auditSelected       = 1
	auditProbability    = 2
)

// readRecord reads the few fields that matter: decoding whole records costs as much as making the decisions did. ok is false when it is no record.
func readRecord(data []byte) (d made, ok bool) {
	ok = each(data, func(field int, value []byte, _ uint64) bool {
		if field != recordDecision {
			return true
		}
		return each(value, func(field int, value []byte, number uint64) bool {
			switch field {
			case decisionID:
				d.id = strings.ToLower(string(value))
			case decisionProject:
				d.project = string(value)
			case decisionOperation:
				d.operation = commonv1.Operation(number)
			case decisionDeployment:
				d.deployment = string(value)
			case decisionTime:
				return each(value, func(field int, _ []byte, number uint64) bool {
					switch field {
					case timestampSeconds:
						d.seconds = int64(number)
					case timestampNanos:
						d.nanos = int64(number)
					}
					return true
				})
			case decisionOutcome:
				d.outcome = commonv1.Outcome(number)
			case decisionReason:
				d.reason = commonv1.DecisionReason(number)
			case decisionModel:
				return each(value, func(field int, value []byte, _ uint64) bool {
					if field == modelDigest {
						d.digest = string(value)
					}
					return true
				})
			case decisionCertificate:
				d.certificate = string(value)
			case decisionAudit:
				return each(value, func(field int, _ []byte, number uint64) bool {
					switch field {
					case auditSelected:
						d.selected = number != 0
					case auditProbability:
						d.propensity = math.Float64frombits(number)
					}
					return true
				})
			case decisionUncertified:
				d.uncertified = number != 0
			}
			return true
		})
	})
	return d, ok && d.id != "" && d.project != ""
}

// each calls fn for the fields of an encoded message: with value for those that have a length, with number for the others. It returns false where the message is damaged.
func each(message []byte, fn func(field int, value []byte, number uint64) bool) bool {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return false
		}
		message = message[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return false
		}
		message = message[n:]
		if !fn(int(field), value, number) {
			return false
		}
	}
	return true
}

// uncertifiedRoot is the root of what a version automates without a certificate.
func uncertifiedRoot(digest string) string { return "uncertified/" + digest }

// counts names what an audit of the decision counts for: its certificate, or its version when the policy automates without one; empty when it tells nothing about the model, as
// with rules.
func (d *made) counts() string {
	switch {
	case d.outcome != commonv1.Outcome_OUTCOME_AUTOMATED:
		return ""
	case d.reason == commonv1.DecisionReason_DECISION_REASON_CERTIFIED:
		return d.certificate
	case d.uncertified && d.digest != "":
		return uncertifiedRoot(d.digest)
	}
	return ""
}
