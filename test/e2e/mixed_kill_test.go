package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

const (
	jobItems = 300
	// longestLife is how long after its start a server is killed at the latest.
	longestLife = 700 * time.Millisecond
)

// fromEnv returns a number that the environment may say.
func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, not a number above 0", name, s)
	}
	return n
}

// TestKillUnderMixedLoad kills the server at random moments, some of them while it starts, while everything is done that is acknowledged: decisions with and without
// people, one by one and in batches, verdicts under leases, feedback, tasks and jobs. What a kill left without an answer is asked again under its idempotency
// key. In the end everything that was acknowledged is there, once: through the API, and in the lake.
//
// SWITCHYARD_TEST_KILLS and SWITCHYARD_TEST_SEED say how often and when.
func TestKillUnderMixedLoad(t *testing.T) {
	t.Parallel()
	kills, seed := fromEnv(t, "SWITCHYARD_TEST_KILLS", 8), fromEnv(t, "SWITCHYARD_TEST_SEED", 20261125)
	if testing.Short() {
		kills = min(kills, 3)
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	dir := filepath.Join(t.TempDir(), "data")
	// A second: what is sent again after a restart is mostly outside of it, so that nothing rests on the bus to know it.
	env := []string{"SWITCHYARD_BUS_DUPLICATES=1s", "SWITCHYARD_LAKE_FLUSH=300ms"}
	serve := func() *process.Server {
		return startWith(t, process.Options{DataDir: dir, Args: []string{"--socket", "none"}, Env: env})
	}
	s := serve()
	prepare(t, partsOf(dial(t, s, s.Key)))
	b := newBook()
	early := 0
	for n := range kills {
		if n%10 == 9 { // while it recovers from the last kill
			if err := process.KillEarly(t.Context(), process.Options{Bin: binary, DataDir: dir, Args: []string{"--socket", "none"}, Env: env},
				time.Duration(random.Int64N(int64(400*time.Millisecond)))); err != nil {
				t.Fatal(err)
			}
			early++
		} else {
			l := b.load(t, s, n)
			time.Sleep(time.Duration(random.Int64N(int64(longestLife)))) // where in its work the kill meets the server is left to chance
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			l.end()
		}
		if n+1 == kills || (n+1)%10 != 9 {
			s = serve()
		}
	}
	b.check(t, s, dir, kills, early)
}

// prepare makes a deployment that decides by itself, with many audits, beside the one that leaves all to people, and queues whose verdicts count at once.
func prepare(t *testing.T, p *parts) {
	t.Helper()
	const op = commonv1.Operation_OPERATION_ROUTING
	r, err := p.models.GetDeployment(t.Context(), &modelsv1.GetDeploymentRequest{Operation: op, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	champion := r.GetDeployment().GetChampion()
	if _, err := p.models.Deploy(t.Context(), &modelsv1.DeployRequest{
		Operation: op, Deployment: "desk", Model: champion.GetModel(), Version: champion.GetVersion(),
		Policy: &modelsv1.Policy{AuditRate: 0.3, Uncertified: modelsv1.Uncertified_UNCERTIFIED_AUTOMATE},
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"support", "desk"} {
		eventually(t, "the queue of "+name+" can be set up", 20*time.Second, func() bool {
			_, err := p.review.UpdateQueue(t.Context(), &reviewv1.UpdateQueueRequest{
				Operation: op, Deployment: name, Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)},
			})
			return err == nil
		})
	}
}

// load lets 13 callers work until the server is killed.
func (b *book) load(t *testing.T, s *process.Server, life int) *load {
	t.Helper()
	p := partsOf(dial(t, s, s.Key))
	job := b.name("job") // one in every life
	return startLoad(t.Context(), 13, func(ctx context.Context, caller int) {
		switch caller {
		case 0, 1:
			_ = b.ask(ctx, p, question{b.name("support"), "support", 1})
			time.Sleep(4 * time.Millisecond) // people are slower than machines; the queue need not grow without end
		case 2, 3:
			_ = b.ask(ctx, p, question{b.name("desk"), "desk", 1})
			time.Sleep(2 * time.Millisecond)
		case 4:
			_ = b.ask(ctx, p, question{b.name("batch"), "desk", 6})
			time.Sleep(10 * time.Millisecond)
		case 5, 6, 7:
			b.review(ctx, p, []string{"", "", "", "", "", "ann", "bob", "eve"}[caller])
		case 8:
			if _, decision, ok := b.any(); ok {
				_ = b.tell(ctx, p, b.name("feedback"), decision)
			}
			time.Sleep(5 * time.Millisecond)
		case 9:
			b.tasks.publish(ctx, p.tasks, b.name("task"))
			time.Sleep(2 * time.Millisecond)
		case 10:
			_, _ = b.tasks.work(ctx, p.tasks, time.Second)
		case 11:
			b.repeat(ctx, p)
		case 12:
			if b.submit(ctx, p, job) == nil {
				<-ctx.Done()
			}
		}
	})
}

// review leases items, keeps some of them with a heartbeat, and judges.
func (b *book) review(ctx context.Context, p *parts, name string) {
	items, err := p.review.LeaseItems(ctx, &reviewv1.LeaseItemsRequest{Reviewer: name, MaxItems: 3, Wait: durationpb.New(100 * time.Millisecond)})
	if err != nil {
		return
	}
	for i, it := range items.GetItems() {
		lease := it.GetLease().GetLeaseId()
		if i == 1 {
			_, _ = p.review.ExtendLease(ctx, &reviewv1.ExtendLeaseRequest{ItemId: it.GetItemId(), Reviewer: name, LeaseId: lease})
		}
		_ = b.judge(ctx, p, judgement{b.name("verdict"), &reviewv1.SubmitVerdictRequest{
			ItemId: it.GetItemId(), Reviewer: name, LeaseId: lease, Answer: &reviewv1.Answer{Labels: it.GetSuggestedLabels(), Note: "note of " + name},
		}})
	}
}

// repeat asks again what earlier lives left without an answer, and now and then something that was answered.
func (b *book) repeat(ctx context.Context, p *parts) {
	time.Sleep(20 * time.Millisecond)
	questions, _, jobs := b.open()
	if len(questions) > 0 {
		_ = b.ask(ctx, p, questions[0])
	}
	if len(jobs) > 0 {
		_ = b.submit(ctx, p, jobs[0])
	}
	if q, _, ok := b.any(); ok {
		_ = b.ask(ctx, p, q)
	}
}
