package decision

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/redact"
)

// Input is what was judged, as it was sent.
type Input struct {
	Title, Text     string
	Locale, Channel string
	Fields          map[string]*commonv1.FieldValue
}

// hashBuffers holds *[]byte.
var hashBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// Digest returns the SHA-256 of the normalised input, so that the same input is recognised again although its bytes differ in ways that
// nobody sees: texts are brought to Unicode NFC, line ends to LF, and white space around them is cut. What is hashed is, for
// each part in the order title, text, locale, channel, fields by name: its length in bytes (8 bytes, big-endian) and its bytes; fields
// follow as name, one byte for the type (1 number, 2 text, 3 boolean) and value.
func (in *Input) Digest() [32]byte {
	buf := hashBuffers.Get().(*[]byte)
	b := (*buf)[:0]
	b = appendPart(b, in.Title)
	b = appendPart(b, in.Text)
	b = appendPart(b, in.Locale)
	b = appendPart(b, in.Channel)
	if len(in.Fields) > 0 {
		for _, name := range slices.Sorted(maps.Keys(in.Fields)) {
			b = appendField(b, name, in.Fields[name])
		}
	}
	sum := sha256.Sum256(b)
	if cap(b) <= 1<<20 {
		*buf = b
		hashBuffers.Put(buf)
	}
	return sum
}

func appendPart(b []byte, s string) []byte {
	s = normalise(s)
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

func appendField(b []byte, name string, v *commonv1.FieldValue) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(name)))
	b = append(b, name...)
	switch v := v.GetValue().(type) {
	case *commonv1.FieldValue_Number:
		return binary.BigEndian.AppendUint64(append(b, 1), math.Float64bits(v.Number))
	case *commonv1.FieldValue_Text:
		return appendPart(append(b, 2), v.Text)
	case *commonv1.FieldValue_Boolean:
		if v.Boolean {
			return append(b, 3, 1)
		}
		return append(b, 3, 0)
	}
	return append(b, 0)
}

func normalise(s string) string {
	s = strings.TrimSpace(s)
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	if !ascii(s) && !norm.NFC.IsNormalString(s) { // which allocates
		s = norm.NFC.String(s)
	}
	return s
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// retain notes in r as much of the input as the target's policy allows; into is where.
func (in *Input) retain(t *Target, into *commonv1.RecordedInput, r *commonv1.DecisionRecord) {
	switch how := t.policy().GetInputRetention(); how {
	case commonv1.InputRetention_INPUT_RETENTION_ABSENT:
		r.InputRetention = how
		return
	case commonv1.InputRetention_INPUT_RETENTION_REDACTED:
		r.InputRetention = how
		into.Title, into.Text, into.Fields = in.Title, in.Text, copyFields(in.Fields)
		rulesOf(t).Message(into)
	default: // FULL, also when unspecified
		r.InputRetention = commonv1.InputRetention_INPUT_RETENTION_FULL
		into.Title, into.Text, into.Fields = in.Title, in.Text, in.Fields
	}
	into.Locale, into.Channel = in.Locale, in.Channel
	r.Input = into
}

// copyFields returns fields that may be masked; what is in the caller's message is the caller's.
func copyFields(fields map[string]*commonv1.FieldValue) map[string]*commonv1.FieldValue {
	if len(fields) == 0 {
		return nil
	}
	out := make(map[string]*commonv1.FieldValue, len(fields))
	for name, v := range fields {
		out[name] = &commonv1.FieldValue{Value: v.GetValue()}
		if text, ok := v.GetValue().(*commonv1.FieldValue_Text); ok {
			out[name].Value = &commonv1.FieldValue_Text{Text: text.Text}
		}
	}
	return out
}

// redactions holds the rules of policies that mask, by digest: compiling a list of names for every decision would cost more than the decision. It is
// emptied when it holds as many as nobody has in force at once.
var (
	redactions     sync.Map
	redactionCount atomic.Int64
)

const maxRedactions = 1000

// rulesOf returns what the policy of the target masks.
func rulesOf(t *Target) redact.Rules {
	p, digest := t.policy(), t.Deployment.GetPolicyDigest()
	if len(p.GetRedactNames()) == 0 && len(p.GetRedactFields()) == 0 {
		return redact.Rules{}
	}
	if known, ok := redactions.Load(digest); ok && digest != "" {
		return known.(redact.Rules)
	}
	r := redact.Rules{Names: redact.NewNames(p.GetRedactNames()), Fields: make(map[string]bool, len(p.GetRedactFields()))}
	for _, f := range p.GetRedactFields() {
		r.Fields[f] = true
	}
	if redactionCount.Add(1) > maxRedactions {
		redactions.Clear()
		redactionCount.Store(0)
	}
	redactions.Store(digest, r)
	return r
}
