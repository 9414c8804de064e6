package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/inbox"
)

// consumerName is the place of webhooks in the stream, and their name in the inbox.
const consumerName = "webhooks"

// lookInterval is how often webhooks that another process changed are looked for.
const lookInterval = 5 * time.Second

// maxSubjects is up to how many subjects the server filters; beyond, everything is read.
const maxSubjects = 200

// dispatch puts events in line for webhooks until the context ends. It reads only what some webhook asks for, and nothing while there is none.
func (s *Service) dispatch(ctx context.Context) error {
	heard, stop := s.db.Listen(topicWebhooks)
	defer stop()
	for ctx.Err() == nil {
		subjects, from, err := s.wanted(ctx)
		if err != nil {
			s.log.WarnContext(ctx, "webhooks cannot be read", "error", err)
		}
		session, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() {
			if len(subjects) == 0 {
				<-session.Done()
				done <- nil
				return
			}
			done <- s.consumer.Consume(session, consumerName, from, subjects, s.enqueue)
		}()
		again := false
		for !again {
			select {
			case <-ctx.Done():
				again = true
			case <-heard:
			case <-time.After(lookInterval):
			case err := <-done:
				cancel()
				if err != nil && ctx.Err() == nil {
					return fmt.Errorf("read events for webhooks: %w", err)
				}
				done <- nil
				again = true
			}
			if !again {
				now, _, err := s.wanted(ctx)
				again = err == nil && !slices.Equal(now, subjects)
			}
		}
		cancel()
		<-done
	}
	return nil
}

// wanted returns the subjects that webhooks ask for, each once and none within another, and when the first of these webhooks began.
func (s *Service) wanted(ctx context.Context) (subjects []string, from time.Time, err error) {
	var all []*webhook
	err = s.db.View(ctx, func(tx *db.Tx) error {
		all, err = enabledWebhooks(tx)
		return err
	})
	if err != nil {
		return nil, from, err
	}
	whole := map[string]bool{}
	for _, w := range all {
		if from.IsZero() || w.since.Before(from) {
			from = w.since
		}
		if len(w.spec.GetFilter().GetKinds()) == 0 {
			whole[w.project] = true
		}
	}
	for _, w := range all {
		f := newFilter(w.project, nil)
		if !whole[w.project] {
			f = newFilter(w.project, w.spec.GetFilter())
		}
		subjects = append(subjects, f.subjects...)
	}
	slices.Sort(subjects)
	if subjects = slices.Compact(subjects); len(subjects) > maxSubjects {
		subjects = []string{"switchyard.*.>"}
	}
	return subjects, from, nil
}

// wants says whether an event is to be sent to a webhook.
func (w *webhook) wants(m *Message) bool {
	f := newFilter(w.project, w.spec.GetFilter())
	kinds := w.spec.GetFilter().GetKinds()
	return w.project == m.Project && !m.Stored.Before(w.since) && (len(kinds) == 0 || slices.Contains(kinds, m.Kind)) && f.holds(m)
}

// enqueue puts a batch of events in line, each once: what came before is in the inbox.
func (s *Service) enqueue(ctx context.Context, batch []*Message) error {
	var hooks []*webhook
	err := s.db.View(ctx, func(tx *db.Tx) (err error) {
		hooks, err = enabledWebhooks(tx)
		return err
	})
	if err != nil {
		return err
	}
	var wanted []*Message
	for _, m := range batch {
		if slices.ContainsFunc(hooks, func(w *webhook) bool { return w.wants(m) }) {
			wanted = append(wanted, m)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		hooks, err := enabledWebhooks(tx) // as they are now
		if err != nil {
			return err
		}
		line := &line{now: s.now(), limit: int64(s.config.Webhooks.MaxBacklog), pending: map[string]int64{}, dead: map[string]int64{}}
		for _, m := range wanted {
			fresh, err := inbox.Once(tx, consumerName, m.Key())
			if err != nil {
				return err
			}
			for _, w := range hooks {
				if fresh && w.wants(m) {
					if err := line.add(tx, w, m); err != nil {
						return err
					}
				}
			}
		}
		for _, w := range hooks {
			if err := countDeliveries(tx, w.id, line.pending[w.id], line.dead[w.id]); err != nil {
				return err
			}
			if line.pending[w.id] > 0 {
				tx.Notify(topicOf(w.id))
			}
		}
		return nil
	})
}

// line is what one batch adds.
type line struct {
	now           time.Time
	limit         int64
	pending, dead map[string]int64 // by webhook
}

// add puts one event in line for one webhook. When too many wait it is dead at once; when too many are dead it is left out, and only the event store has it.
func (l *line) add(tx *db.Tx, w *webhook, m *Message) error {
	body, err := m.body(w.spec.GetThin())
	if err != nil {
		return err
	}
	d := &delivery{
		id: newID(), webhook: w.id, messageID: messageID(m.Key()), eventID: m.ID, eventType: m.Type, body: body,
		state: eventsv1.DeliveryState_DELIVERY_STATE_PENDING, next: l.now, created: l.now,
	}
	switch {
	case w.pending+l.pending[w.id] < l.limit:
		l.pending[w.id]++
	case w.dead+l.dead[w.id] < l.limit:
		l.dead[w.id]++
		d.state, d.problem, d.next = eventsv1.DeliveryState_DELIVERY_STATE_DEAD, "too many events wait for this webhook", time.Time{}
	default:
		return nil
	}
	return addDelivery(tx, d)
}

// envelope is the body of a webhook: a CloudEvent in structured mode. The extension timestamp repeats the time under the name that the Standard Webhooks specification gives it.
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Time            time.Time       `json:"time"`
	Timestamp       time.Time       `json:"timestamp"`
	Subject         string          `json:"subject,omitempty"`
	Operation       string          `json:"operation,omitempty"`
	Deployment      string          `json:"deployment,omitempty"`
	Traceparent     string          `json:"traceparent,omitempty"`
	DataSchema      string          `json:"dataschema,omitempty"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
	DataBase64      []byte          `json:"data_base64,omitempty"`
}

// write is how the gateway writes messages too.
var write = protojson.MarshalOptions{EmitDefaultValues: true}

// body writes an event as receivers get it.
func (m *Message) body(thin bool) ([]byte, error) {
	e := envelope{
		SpecVersion: "1.0", ID: m.ID, Source: m.Source, Type: m.Type, Time: m.Time.UTC(), Timestamp: m.Time.UTC(), Subject: m.Subject,
		Operation: m.Operation, Deployment: m.Deployment, Traceparent: m.Traceparent,
	}
	if thin {
		return json.Marshal(e)
	}
	if message := m.message(); message != nil {
		data, err := write.Marshal(message)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("write event %s as JSON", m.ID), err)
		}
		e.Data, e.DataContentType, e.DataSchema = data, "application/json", "type.googleapis.com/"+m.Schema
	} else if m.ContentType == "application/json" && json.Valid(m.Data) {
		e.Data, e.DataContentType = m.Data, m.ContentType
	} else if len(m.Data) > 0 {
		e.DataBase64, e.DataContentType = m.Data, m.ContentType
	}
	return json.Marshal(e)
}
