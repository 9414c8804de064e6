// Package cloudevent describes what is on the bus as CloudEvents 1.0 in binary mode: the attributes are headers named "ce-…", the data is the
// message. Publishers write them with Header, readers get them with Parse.
//
// An event is unique by source and id together. The source follows from the subject ("switchyard.acme.decisions" is "/switchyard/acme/decisions"), so that
// the same id may stand for a decision and for the verdict about it. The stream and every inbox know an event by "source|id".
package cloudevent

import (
	"net/url"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
)

// Attributes are what a publisher says of an event beside its id. All but Type are optional.
type Attributes struct {
	// Type says what happened, such as "switchyard.decision.made".
	Type string
	// Time is when it happened; zero: when the stream took it.
	Time time.Time
	// Subject is the id of what it happened to, such as that of the decision.
	Subject string
	// Schema is the full name of the protobuf message that the data is, such as "switchyard.common.v1.DecisionRecord"; "" when it is something else.
	Schema string
	// ContentType of the data; "" for that of the schema.
	ContentType string
	// Operation and Deployment are those that the event belongs to, such as "routing" and "support".
	Operation, Deployment string
	// Traceparent is the W3C trace context of the call that led to it.
	Traceparent string
}

// Event is a message of the bus as readers see it.
type Event struct {
	Attributes
	ID      string // unique in its source
	Source  string
	Project string
	Kind    string // the tail of the subject, such as "decisions"
}

// Content types of data.
const (
	Protobuf = "application/protobuf"
	JSON     = "application/json"
)

const (
	prefix      = "ce-"
	contentType = "content-type" // as the HTTP binding has it: the only attribute without the prefix
	schemaBase  = "type.googleapis.com/"
)

// types are the names of what happens, by the kind of event that tells it, where its publisher gives no other.
var types = map[string]string{
	"decisions":   "switchyard.decision.made",
	"verdicts":    "switchyard.verdict.given",
	"feedback":    "switchyard.feedback.received",
	"reviews":     "switchyard.review.changed",
	"deployments": "switchyard.deployment.changed",
	"jobs":        "switchyard.job.changed",
}

// TypeOf returns the type of the events of a kind whose publisher names none.
func TypeOf(kind string) string {
	if t, ok := types[kind]; ok {
		return t
	}
	return "switchyard." + kind
}

// Header returns the headers of an event that is published with that subject and id.
func Header(subject, id string, a Attributes) map[string][]string {
	_, kind := split(subject)
	if a.Type == "" {
		a.Type = TypeOf(kind)
	}
	h := make(map[string][]string, 12)
	values := make([]string, 0, 12) // one allocation for all
	set := func(name, value string) {
		if value != "" {
			values = append(values, encode(value))
			h[name] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	set(prefix+"specversion", "1.0")
	set(prefix+"id", id)
	set(prefix+"source", bus.Source(subject))
	set(prefix+"type", a.Type)
	set(prefix+"subject", a.Subject)
	set(prefix+"operation", a.Operation)
	set(prefix+"deployment", a.Deployment)
	set(prefix+"traceparent", a.Traceparent)
	if !a.Time.IsZero() {
		set(prefix+"time", a.Time.UTC().Format(time.RFC3339Nano))
	}
	if a.Schema != "" {
		set(prefix+"dataschema", schemaBase+a.Schema)
		if a.ContentType == "" {
			a.ContentType = Protobuf
		}
	}
	set(contentType, a.ContentType)
	return h
}

// Parse reads a message of the bus. Messages of earlier releases have no headers: what they are follows from their subject. stored is when the stream
// took the message.
func Parse(subject, id string, header map[string][]string, stored time.Time) Event {
	get := func(name string) string {
		if v := header[name]; len(v) > 0 {
			return decode(v[0])
		}
		return ""
	}
	e := Event{ID: id, Source: bus.Source(subject)}
	e.Project, e.Kind = split(subject)
	e.Attributes = Attributes{
		Type: get(prefix + "type"), Subject: get(prefix + "subject"), Operation: get(prefix + "operation"), Deployment: get(prefix + "deployment"),
		Traceparent: get(prefix + "traceparent"), ContentType: get(contentType), Schema: strings.TrimPrefix(get(prefix+"dataschema"), schemaBase),
		Time: stored.UTC(),
	}
	if t, err := time.Parse(time.RFC3339Nano, get(prefix+"time")); err == nil {
		e.Time = t.UTC()
	}
	if e.Type == "" {
		e.Type = TypeOf(e.Kind)
		if e.Kind == "decisions" && e.Schema == "" {
			e.Schema, e.ContentType = "switchyard.common.v1.DecisionRecord", Protobuf
		}
	}
	return e
}

// Key is what an inbox remembers: "source|id".
func (e *Event) Key() string { return e.Source + "|" + e.ID }

// split takes a subject apart: "switchyard.<project>.<kind>".
func split(subject string) (project, kind string) {
	_, rest, _ := strings.Cut(subject, ".")
	project, kind, _ = strings.Cut(rest, ".")
	return project, kind
}

// encode makes a header's value of any string: bytes that a header cannot hold, and "%" itself, are percent-encoded.
func encode(s string) string {
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && c != '%' && c != '"' }
	n := 0
	for n < len(s) && plain(s[n]) {
		n++
	}
	if n == len(s) {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(s[:n])
	for ; n < len(s); n++ {
		if c := s[n]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func decode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}
