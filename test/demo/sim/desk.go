package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
)

const (
	callers = 8 // calls of the help desk that are under way together
	// overREST and repeated are shares of the calls: those that go over REST, and those that are sent a second time, as after a timeout.
	overREST = 0.1
	repeated = 0.02
)

// desk is the help desk: the application that asks where each inquiry belongs, and acts on what is certain.
type desk struct {
	key  string
	http string
	conn patient

	mu       sync.Mutex
	made     map[string]*made // by decision
	viaREST  int
	viaBatch int
	again    int // calls that were repeated
}

// made is an answer as the help desk got it.
type made struct {
	ticket    Ticket
	automated bool
	queue     string // where it was sent, or the suggestion
	audit     bool
}

func (m *made) right() bool { return m.queue == m.ticket.Label }

func (d *desk) note(t Ticket, dec *commonv1.Decision, queue string) (*made, error) {
	m := &made{ticket: t, automated: dec.GetOutcome() == commonv1.Outcome_OUTCOME_AUTOMATED, queue: queue, audit: dec.GetAudit().GetSelected()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if other := d.made[dec.GetDecisionId()]; other != nil {
		return nil, fmt.Errorf("decision %s is about %s and %s", dec.GetDecisionId(), other.ticket.ID, t.ID)
	}
	d.made[dec.GetDecisionId()] = m
	return m, nil
}

// counts returns how many inquiries were answered, and how many of them for certain.
func (d *desk) counts() (answered, automated, audits int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.made {
		if m.automated {
			automated++
			if m.audit {
				audits++
			}
		}
	}
	return len(d.made), automated, audits
}

// arrivals draws when n inquiries of a day come: many in the morning, some at noon, many again after it.
func arrivals(rng *rand.Rand, day time.Time, n int) []time.Time {
	weights := []float64{5, 9, 10, 8, 5, 7, 9, 7, 5, 3} // of the hours from 8 to 18
	total := 0.0
	for _, w := range weights {
		total += w
	}
	out := make([]time.Time, n)
	for i := range out {
		draw, hour := rng.Float64()*total, 0
		for draw > weights[hour] {
			draw -= weights[hour]
			hour++
		}
		out[i] = at(day, deskOpens+float64(hour)+draw/weights[hour])
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// serve sends the inquiries of a day as they come. answered is called for each.
func (w *World) serve(ctx context.Context, day time.Time, tickets []Ticket, answered func(id string, m *made)) error {
	times := arrivals(w.rng, day, len(tickets))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(callers)
	for i, t := range tickets {
		if err := w.Clock.Until(ctx, times[i]); err != nil {
			break // the group has the reason
		}
		rest, twice := w.rng.Float64() < overREST, w.rng.Float64() < repeated
		g.Go(func() error {
			id, m, err := w.desk.ask(ctx, t, rest, twice)
			if err != nil {
				return fmt.Errorf("route %s: %w", t.ID, err)
			}
			answered(id, m)
			return nil
		})
	}
	return g.Wait()
}

// ask routes one inquiry. A call that is sent twice, with the same key, must get the same decision.
func (d *desk) ask(ctx context.Context, t Ticket, rest, twice bool) (string, *made, error) {
	call := d.overGRPC
	if rest {
		call = d.overREST
	}
	r, err := call(ctx, t)
	if err != nil {
		return "", nil, err
	}
	id := r.GetDecision().GetDecisionId()
	if twice {
		second, err := call(ctx, t)
		if err != nil {
			return "", nil, err
		}
		if second.GetDecision().GetDecisionId() != id {
			return "", nil, errors.New("the repeated call got another decision")
		}
	}
	m, err := d.note(t, r.GetDecision(), r.GetQueue())
	d.mu.Lock()
	defer d.mu.Unlock()
	if rest {
		d.viaREST++
	}
	if twice {
		d.again++
	}
	return id, m, err
}

func (d *desk) overGRPC(ctx context.Context, t Ticket) (*routingv1.RouteInquiryResponse, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, keyHeader, t.ID)
	return routingv1.NewRoutingServiceClient(d.conn).RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: deployment, Body: t.Text, InquiryId: t.ID, Channel: "chat"})
}

func (d *desk) overREST(ctx context.Context, t Ticket) (*routingv1.RouteInquiryResponse, error) {
	body, err := json.Marshal(map[string]string{"deployment": deployment, "body": t.Text, "inquiryId": t.ID, "channel": "email"})
	if err != nil {
		return nil, err
	}
	out := &routingv1.RouteInquiryResponse{}
	err = d.conn.retry(ctx, func() (bool, error) {
		data, code, err := d.post(ctx, "/v1/routing/inquiries:route", body, t.ID)
		switch {
		case err != nil:
			return false, err
		case code != http.StatusOK:
			return answersLate(code), fmt.Errorf("REST answers %d: %s", code, data)
		}
		return false, protojson.Unmarshal(data, out)
	})
	return out, err
}

func (d *desk) post(ctx context.Context, path string, body []byte, key string) (answer []byte, code int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.http+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + d.key}, "Idempotency-Key": {key}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	return answer, resp.StatusCode, err
}

// backlog hands over what came at night as one job, waits for it, and returns the decisions that people have to make.
func (w *World) backlog(ctx context.Context, tickets []Ticket, answered func(id string, m *made)) (undecided []string, err error) {
	jobs := jobsv1.NewJobServiceClient(w.desk.conn)
	stream, err := jobs.SubmitBatch(ctx)
	if err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	for _, t := range tickets {
		line, err := protojson.Marshal(&routingv1.InquiryItem{Body: t.Text, InquiryId: t.ID, Channel: "email"})
		if err != nil {
			return nil, err
		}
		lines.Write(append(line, '\n'))
	}
	// An error of Send is told by CloseAndRecv.
	_ = stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Spec{Spec: &jobsv1.JobSpec{Operation: operation, Deployment: deployment}}})
	for piece := range slices.Chunk(lines.Bytes(), 1<<20) {
		_ = stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Lines{Lines: piece}})
	}
	r, err := stream.CloseAndRecv()
	if err != nil {
		return nil, fmt.Errorf("submit the backlog: %w", err)
	}
	results, err := jobs.StreamResults(ctx, &jobsv1.StreamResultsRequest{JobId: r.GetJob().GetJobId()}) // follows the job and ends with it
	if err != nil {
		return nil, err
	}
	n := 0
	for {
		m, err := results.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the results of the backlog: %w", err)
		}
		for _, res := range m.GetResults() {
			routed, t := res.GetRouting(), tickets[res.GetIndex()]
			if routed.GetError() != nil {
				return nil, fmt.Errorf("%s of the backlog: %s", t.ID, routed.GetError().GetMessage())
			}
			id := routed.GetDecision().GetDecisionId()
			made, err := w.desk.note(t, routed.GetDecision(), routed.GetQueue())
			if err != nil {
				return nil, err
			}
			if !made.automated {
				undecided = append(undecided, id)
			}
			answered(id, made)
			n++
		}
	}
	if n != len(tickets) {
		return nil, fmt.Errorf("the backlog of %d has %d results", len(tickets), n)
	}
	w.desk.mu.Lock()
	defer w.desk.mu.Unlock()
	w.desk.viaBatch += n
	return undecided, nil
}
