package ledger

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// A decision goes into the lake from its encoded form, without the messages between: decoding a record into messages and turning these into a row took longer than writing
// the row. Both ways give the same row; a test compares them for every field of the contract.

var errDamaged = errors.New("the record is damaged")

// wireRows makes rows of encoded records. It belongs to one goroutine.
type wireRows struct {
	known map[string]string // values that come again and again, each kept once
}

func newWireRows() *wireRows { return &wireRows{known: map[string]string{}} }

// maxKnown bounds what is kept of values that should repeat and do not.
const maxKnown = 4096

// again returns the text of a value that many records share.
func (w *wireRows) again(value []byte) string {
	if s, ok := w.known[string(value)]; ok {
		return s
	}
	if len(w.known) >= maxKnown {
		clear(w.known)
	}
	s := string(value)
	w.known[s] = s
	return s
}

// fields calls fn for the fields of an encoded message, in order, until fn fails: value for those that have a length, number for varints and fixed ones.
func fields(message []byte, fn func(field int, value []byte, number uint64) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errDamaged
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
			return errDamaged
		}
		message = message[n:]
		if err := fn(int(field), value, number); err != nil {
			return err
		}
	}
	return nil
}

// recordOf reads of an encoded record what the lake has to know before it makes a row.
func recordOf(data []byte) (r lake.Record, err error) {
	err = fields(data, func(field int, value []byte, _ uint64) error {
		if field != 1 {
			return nil
		}
		return fields(value, func(field int, value []byte, _ uint64) (err error) {
			switch field {
			case 1:
				r.Key = string(value)
			case 2:
				r.Project = string(value)
			case 5:
				r.Time, err = wireTime(value)
			}
			return err
		})
	})
	return r, err
}

// decision makes the row of a record.
func (w *wireRows) decision(r *lake.Record, into *lake.Decision) error {
	*into = lake.Decision{
		StreamSeq: int64(r.Seq), ChosenLabels: into.ChosenLabels[:0], Labels: into.Labels[:0], Probabilities: into.Probabilities[:0], RuleIDs: into.RuleIDs[:0],
		Time: time.Unix(0, 0).UTC(),
	}
	texts := wireTexts{}
	err := fields(r.Data, func(field int, value []byte, number uint64) error {
		switch field {
		case 1:
			return w.made(into, value, &texts)
		case 2:
			into.Caller = w.again(value)
		case 3:
			into.Traceparent = texts.text(value)
		case 4:
			into.IdempotencyKey = texts.text(value)
		case 5:
			into.SubjectID = texts.text(value)
		case 6:
			into.InputSHA256 = value
		case 7:
			into.InputRetention = enumName(retentions, number, commonv1.InputRetention(number), "INPUT_RETENTION_")
		case 8:
			return w.input(into, value, &texts)
		case 10:
			into.RuleIDs = append(into.RuleIDs, w.again(value))
		case 11:
			into.Action = int32(number)
		case 12:
			into.RequestID = texts.text(value)
		case 13:
			into.ContentID = texts.text(value)
		}
		return nil
	})
	if err == nil && texts.bad {
		err = fmt.Errorf("%w: a text is not UTF-8", errDamaged)
	}
	if len(into.ChosenLabels) > 0 {
		into.Label = into.ChosenLabels[0]
	}
	return err
}

// made reads the decision of a record.
func (w *wireRows) made(into *lake.Decision, message []byte, texts *wireTexts) error {
	return fields(message, func(field int, value []byte, number uint64) (err error) {
		switch field {
		case 1:
			into.DecisionID = texts.text(value)
		case 2:
			into.Project = w.again(value)
		case 3:
			into.Operation = enumName(operations, number, commonv1.Operation(number), "OPERATION_")
		case 4:
			into.Deployment = w.again(value)
		case 5:
			var at time.Time
			at, err = wireTime(value)
			into.Time, into.TimeNanos = at.Truncate(time.Microsecond), int32(at.Nanosecond()%1000)
		case 6:
			into.Outcome = enumName(outcomes, number, commonv1.Outcome(number), "OUTCOME_")
		case 7:
			into.Reason = enumName(reasons, number, commonv1.DecisionReason(number), "DECISION_REASON_")
		case 8:
			if len(into.Labels) < lake.MaxLabels {
				err = w.label(into, value)
			}
		case 9:
			into.ChosenLabels = append(into.ChosenLabels, w.again(value))
		case 10:
			into.Stage = enumName(stages, number, commonv1.Stage(number), "STAGE_")
		case 11:
			err = w.model(into, value)
		case 12:
			into.PolicyDigest = w.again(value)
		case 13:
			into.CertificateID = w.again(value)
		case 14:
			into.Variant = enumName(variants, number, commonv1.Variant(number), "VARIANT_")
		case 15:
			err = fields(value, func(field int, _ []byte, number uint64) error {
				switch field {
				case 1:
					into.AuditSelected = number != 0
				case 2:
					into.AuditProbability = math.Float64frombits(number)
				}
				return nil
			})
		case 16:
			into.LatencyNanos, err = wireDuration(value)
		case 17:
			err = w.cost(into, value)
		case 18:
			into.Uncertified = number != 0
		}
		return err
	})
}

func (w *wireRows) label(into *lake.Decision, message []byte) error {
	name, probability := "", 0.0
	err := fields(message, func(field int, value []byte, number uint64) error {
		switch field {
		case 1:
			name = w.again(value)
		case 2:
			probability = math.Float64frombits(number)
		}
		return nil
	})
	into.Labels = append(into.Labels, name)
	into.Probabilities = append(into.Probabilities, float32(probability)) // models answer in this precision
	return err
}

func (w *wireRows) model(into *lake.Decision, message []byte) error {
	return fields(message, func(field int, value []byte, number uint64) error {
		switch field {
		case 1:
			into.ModelName = w.again(value)
		case 2:
			into.ModelVersion = int32(number)
		case 3:
			into.ModelDigest = w.again(value)
		}
		return nil
	})
}

func (w *wireRows) cost(into *lake.Decision, message []byte) error {
	return fields(message, func(field int, value []byte, number uint64) (err error) {
		switch field {
		case 1:
			into.CostMicros = int64(number)
		case 2:
			into.ComputeCostMicros = int64(number)
		case 3:
			into.ReviewCostMicros = int64(number)
		case 4:
			into.Currency = w.again(value)
		case 5:
			into.ComputeNanos, err = wireDuration(value)
		}
		return err
	})
}

// input reads the input. Its fields are a map of a type of its own, which the usual way turns into JSON.
func (w *wireRows) input(into *lake.Decision, message []byte, texts *wireTexts) error {
	more := false
	err := fields(message, func(field int, value []byte, _ uint64) error {
		switch field {
		case 1:
			into.Text = texts.text(value)
		case 2:
			into.Title = texts.text(value)
		case 3:
			more = true
		case 4:
			into.Locale = w.again(value)
		case 5:
			into.Channel = w.again(value)
		}
		return nil
	})
	if err != nil || !more {
		return err
	}
	in := &commonv1.RecordedInput{}
	if err := proto.Unmarshal(message, in); err != nil {
		return err
	}
	into.Fields, err = fieldsJSON(in.GetFields())
	return err
}

// wireTexts makes texts and notes whether all of them are UTF-8.
type wireTexts struct{ bad bool }

func (t *wireTexts) text(value []byte) string {
	t.bad = t.bad || !utf8.Valid(value)
	return string(value)
}

func wireTime(message []byte) (time.Time, error) {
	seconds, nanos, err := wireSpan(message)
	return time.Unix(seconds, nanos).UTC(), err
}

func wireDuration(message []byte) (int64, error) {
	seconds, nanos, err := wireSpan(message)
	return seconds*int64(time.Second) + nanos, err
}

// wireSpan reads a timestamp or a duration.
func wireSpan(message []byte) (seconds, nanos int64, err error) {
	err = fields(message, func(field int, _ []byte, number uint64) error {
		switch field {
		case 1:
			seconds = int64(number)
		case 2:
			nanos = int64(int32(number))
		}
		return nil
	})
	return seconds, nanos, err
}

// The names of enums by their numbers, made once.
var (
	operations = namesOf[commonv1.Operation](commonv1.Operation_name, "OPERATION_")
	outcomes   = namesOf[commonv1.Outcome](commonv1.Outcome_name, "OUTCOME_")
	reasons    = namesOf[commonv1.DecisionReason](commonv1.DecisionReason_name, "DECISION_REASON_")
	stages     = namesOf[commonv1.Stage](commonv1.Stage_name, "STAGE_")
	variants   = namesOf[commonv1.Variant](commonv1.Variant_name, "VARIANT_")
	retentions = namesOf[commonv1.InputRetention](commonv1.InputRetention_name, "INPUT_RETENTION_")
)

func namesOf[E interface {
	~int32
	fmt.Stringer
}](values map[int32]string, prefix string) []string {
	out := make([]string, len(values))
	for n := range values {
		if int(n) < len(out) {
			out[n] = name(E(n), prefix)
		}
	}
	return out
}

func enumName(names []string, number uint64, value fmt.Stringer, prefix string) string {
	if number < uint64(len(names)) {
		return names[number]
	}
	return name(value, prefix)
}
