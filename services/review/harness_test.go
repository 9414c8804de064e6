package review_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/review"
)

const (
	moderation = commonv1.Operation_OPERATION_MODERATION
	routing    = commonv1.Operation_OPERATION_ROUTING
)

// desk is a running service over a real connection, with a clock of its own and a list of what it emitted.
type desk struct {
	reviewv1.ReviewServiceClient
	service *review.Service
	labels  *review.LabelTable
	db      *db.DB

	mu     sync.Mutex
	now    time.Time
	events []review.Event
	draw   float64
	others map[string]*commonv1.DecisionRecord // decisions of p1 that are no items
}

// open runs the service on the database in dir, or on Postgres when the tests are asked to (internal/db/pgtest). Its background does what is due several times a second; doDue does it at once.
func open(tb testing.TB, dir string) *desk {
	tb.Helper()
	d, err := db.Open(context.Background(), dbtest.Config(tb, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		tb.Fatal(err)
	}
	k := &desk{labels: review.NewLabelTable(), db: d, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), draw: 1}
	k.labels.Set("p1", routing, "support", &review.LabelSet{Labels: []string{"hardware", "billing", "access"}})
	k.labels.Set("p1", moderation, "comments", &review.LabelSet{Labels: []string{"ham", "spam"}, Harmless: []string{"ham"}})
	k.service = review.New(review.Deps{
		DB: d, Labels: k.labels, Now: k.time,
		Decision: func(_ context.Context, project, id string) (*commonv1.DecisionRecord, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			if r := k.others[id]; r != nil && project == "p1" {
				return proto.CloneOf(r), nil
			}
			return nil, nil
		},
		Draw: func() float64 { k.mu.Lock(); defer k.mu.Unlock(); return k.draw },
		Emit: func(_ *db.Tx, e review.Event) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			e.Message = proto.Clone(e.Message)
			k.events = append(k.events, e)
			return nil
		},
	})
	if err := k.service.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(callerUnary), grpc.StreamInterceptor(callerStream))
	k.service.Register(server)
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///review", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		tb.Fatal(err)
	}
	k.ReviewServiceClient = reviewv1.NewReviewServiceClient(conn)
	tb.Cleanup(func() {
		_ = conn.Close()
		k.service.Close()
		server.Stop()
		_ = d.Close()
	})
	return k
}

func start(tb testing.TB) *desk { tb.Helper(); return open(tb, tb.TempDir()) }

func (k *desk) time() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// pass lets time pass, and what is due be done.
func (k *desk) pass(tb testing.TB, d time.Duration) {
	tb.Helper()
	k.mu.Lock()
	k.now = k.now.Add(d)
	k.mu.Unlock()
	if err := k.service.DoDue(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func (k *desk) emitted(kind string) (out []review.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// as calls for a project as one of its people, each with a key of the same name.
func as(ctx context.Context, project, key string, scopes ...string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "test-project", project, "test-key", key, "test-scopes", strings.Join(scopes, " "))
}

// reviewer calls as a person with a key of the same name in project p1.
func reviewer(tb testing.TB, name string) context.Context {
	tb.Helper()
	return as(tb.Context(), "p1", name, "review:read", "review:work")
}

// lead calls with everything in project p1.
func lead(tb testing.TB) context.Context { tb.Helper(); return as(tb.Context(), "p1", "lead", "*") }

func withCaller(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	if len(md["test-project"]) == 0 {
		return ctx
	}
	return auth.WithCaller(ctx, &auth.Caller{Project: md["test-project"][0], KeyID: md["test-key"][0], Scopes: strings.Fields(md["test-scopes"][0])})
}

func callerUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	res, err := next(withCaller(ctx), req)
	if err != nil {
		return nil, fault.From(err).Status().Err()
	}
	return res, nil
}

func callerStream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := next(srv, callerOf{s, withCaller(s.Context())}); err != nil {
		return fault.From(err).Status().Err()
	}
	return nil
}

type callerOf struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has its context
}

func (s callerOf) Context() context.Context { return s.ctx }

// ticket is the record of a routing decision that was left to a person.
func (k *desk) ticket(text string, labels ...any) *commonv1.DecisionRecord {
	if len(labels) == 0 {
		labels = []any{"hardware", 0.6, "billing", 0.3, "access", 0.1}
	}
	d := &commonv1.Decision{
		DecisionId: decision.NewID(), Project: "p1", Operation: routing, Deployment: "support", Time: timestamppb.New(k.time()),
		Outcome: commonv1.Outcome_OUTCOME_REVIEW, Reason: commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD,
		Model: &commonv1.ModelRef{Name: "support", Version: 3, Digest: "sha256:m"}, Audit: &commonv1.Audit{Probability: 0.01},
	}
	for i := 0; i < len(labels); i += 2 {
		d.Labels = append(d.Labels, &commonv1.LabelProbability{Label: labels[i].(string), Probability: labels[i+1].(float64)})
	}
	d.ChosenLabels = []string{d.GetLabels()[0].GetLabel()}
	sum := sha256.Sum256([]byte(text))
	return &commonv1.DecisionRecord{
		Decision: d, Caller: "shop", InputSha256: sum[:], Input: &commonv1.RecordedInput{Text: text, Title: "Help"}, ContentId: "content of " + text, SubjectId: "customer 7",
	}
}

// comment is the record of a moderation decision that was left to a person.
func (k *desk) comment(text string) *commonv1.DecisionRecord {
	r := k.ticket(text, "spam", 0.7, "ham", 0.3)
	r.Decision.Operation, r.Decision.Deployment, r.Action = moderation, "comments", int32(moderationv1.Action_ACTION_REVIEW)
	return r
}

// apply hands records to the service and returns their ids.
func (k *desk) apply(tb testing.TB, records ...*commonv1.DecisionRecord) []string {
	tb.Helper()
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.GetDecision().GetDecisionId()
	}
	if err := k.service.Apply(tb.Context(), records); err != nil {
		tb.Fatal(err)
	}
	return ids
}

// settings replaces those of routing/support.
func (k *desk) settings(tb testing.TB, s *reviewv1.QueueSettings) {
	tb.Helper()
	_, err := k.UpdateQueue(lead(tb), &reviewv1.UpdateQueueRequest{Operation: routing, Deployment: "support", Settings: s})
	if err != nil {
		tb.Fatal(err)
	}
	for stale := 1; stale > 0; { // ranking anew gives way to reviewers, and on a busy machine takes several turns
		k.pass(tb, 0)
		err := k.db.View(tb.Context(), func(tx *db.Tx) error {
			_, err := tx.Get(`SELECT count(*) FROM review_queues WHERE rank_after <> '~'`, nil, &stale)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// next leases the next item as a person; nil when there is none.
func (k *desk) next(tb testing.TB, name string) *reviewv1.ReviewItem {
	tb.Helper()
	r, err := k.LeaseItems(reviewer(tb, name), &reviewv1.LeaseItemsRequest{})
	if err != nil {
		tb.Fatal(err)
	}
	if len(r.GetItems()) == 0 {
		return nil
	}
	return r.GetItems()[0]
}

// say answers a leased item as a person.
func (k *desk) say(tb testing.TB, name string, it *reviewv1.ReviewItem, labels ...string) *reviewv1.SubmitVerdictResponse {
	tb.Helper()
	answer := &reviewv1.Answer{Labels: labels}
	if len(labels) == 0 {
		answer.NotSure = true
	}
	r, err := k.SubmitVerdict(reviewer(tb, name), &reviewv1.SubmitVerdictRequest{ItemId: it.GetItemId(), LeaseId: it.GetLease().GetLeaseId(), Answer: answer})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// get reads an item as somebody who leads.
func (k *desk) get(tb testing.TB, id string) *reviewv1.GetItemResponse {
	tb.Helper()
	r, err := k.GetItem(lead(tb), &reviewv1.GetItemRequest{ItemId: id})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// wantReason fails the test unless err has the reason.
func wantReason(tb testing.TB, err error, reason string) {
	tb.Helper()
	got := "nothing"
	if err != nil {
		got = strings.TrimPrefix(fault.From(err).Reason().String(), "ERROR_REASON_")
	}
	if got != reason {
		tb.Errorf("fails with %s (%v), want %s", got, err, reason)
	}
}

// at returns a text that is unlike that of every other number.
func at(i int) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i))) }
