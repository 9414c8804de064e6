package decision

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/journal"
)

// EventHeader returns the headers under which a recorded decision travels on the bus. It looks only at the fields that it needs: decoding a whole record costs
// as much as making the decision did. Of an entry that is no record it tells what the entry's subject tells.
func EventHeader(e journal.Entry) map[string][]string {
	a := cloudevent.Attributes{Subject: e.ID, Schema: "switchyard.common.v1.DecisionRecord"}
	each(e.Data, func(field int, value []byte, _ uint64) {
		switch field {
		case recordDecision:
			each(value, func(field int, value []byte, number uint64) {
				switch field {
				case decisionOperation:
					a.Operation = fault.OperationName(commonv1.Operation(number))
				case decisionDeployment:
					a.Deployment = string(value)
				case decisionTime:
					a.Time = timestamp(value)
				}
			})
		case recordTraceparent:
			a.Traceparent = string(value)
		}
	})
	return cloudevent.Header(e.Subject, e.ID, a)
}

// Numbers of the fields of DecisionRecord, Decision and Timestamp; a test compares them with the contract.
const (
	recordDecision     = 1
	recordTraceparent  = 3
	decisionOperation  = 3
	decisionDeployment = 4
	decisionTime       = 5
	decisionOutcome    = 6
	decisionReason     = 7
	decisionAudit      = 15
	auditSelected      = 1
	timestampSeconds   = 1
	timestampNanos     = 2
)

func timestamp(message []byte) time.Time {
	var seconds, nanos int64
	each(message, func(field int, _ []byte, number uint64) {
		switch field {
		case timestampSeconds:
			seconds = int64(number)
		case timestampNanos:
			nanos = int64(number)
		}
	})
	return time.Unix(seconds, nanos).UTC()
}

// each calls fn for the fields of an encoded message: with value for those that have a length, with number for varints. It ends where the message is damaged.
func each(message []byte, fn func(field int, value []byte, number uint64)) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return
		}
		message = message[n:]
		fn(int(field), value, number)
	}
}
