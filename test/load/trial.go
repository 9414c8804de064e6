package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
)

const (
	// shadowCallers leave cores to spare, which is what the figure about shadows speaks of.
	shadowCallers = 2
	shadowed      = "support-shadow"
)

// measureTrial compares throughput with and without a version in shadow, and swaps the live version under load.
func measureTrial(ctx context.Context, b *bench) error {
	s, err := b.product(ctx)
	if err != nil {
		return err
	}
	registry := modelsv1.NewModelServiceClient(s.conns[0])
	other, err := b.train(ctx, s.server, "routing", "support-next", "it_tickets", "", "--model", s.trained.Model, "--seed", "2")
	if err != nil {
		return err
	}
	policy := &modelsv1.Policy{Record: modelsv1.RecordMode_RECORD_MODE_ASYNC}
	_, err = registry.Deploy(ctx, &modelsv1.DeployRequest{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: shadowed, Model: s.trained.Model, Version: s.trained.Version, Policy: policy,
	})
	if err != nil {
		return err
	}
	_, err = registry.StartChallenger(ctx, &modelsv1.StartChallengerRequest{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: shadowed, Model: other.Model, Version: other.Version,
	})
	if err != nil {
		return err
	}
	with, without := &meter{pid: s.server.PID()}, &meter{pid: s.server.PID()}
	for _, callers := range []int{shadowCallers, grpcCallers} {
		c, err := b.compare(ctx, unary(s.conns, requests(s.texts, shadowed), callers, with), unary(s.conns, requests(s.texts, recordAsync), callers, without))
		if err != nil {
			return err
		}
		what, basis := fmt.Sprintf("throughput with a second version in shadow, %d callers, record async", callers), c.basis("with", "without")+cost(with, without)
		if callers == shadowCallers {
			b.table.atLeast(what, c.ratio(), 0.90, basis, command("trial"))
		} else {
			b.table.add(row{what: what, measured: fmt.Sprintf("%.2f ×", c.ratio()), basis: basis, command: command("trial")})
		}
	}
	if _, err := registry.StopChallenger(ctx, &modelsv1.StopChallengerRequest{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: shadowed, Model: other.Model, Version: other.Version,
	}); err != nil {
		return err
	}
	return b.measureSwap(ctx, s, registry, other)
}

// timed is one call of a caller.
type timed struct {
	end    time.Time
	took   time.Duration
	digest string
}

// measureSwap lets 64 callers call all the while, deploys another version and rolls back, and looks at the calls around both moments.
func (b *bench) measureSwap(ctx context.Context, s *shared, registry modelsv1.ModelServiceClient, other *trainedModel) error {
	const around = 3 * time.Second
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	all := make([][]timed, grpcCallers)
	failures := make([]error, grpcCallers)
	messages := requests(s.texts, shadowed)
	for w := range grpcCallers {
		wg.Go(func() {
			client := routingv1.NewRoutingServiceClient(s.conns[w%len(s.conns)])
			for i := w * 7919; ctx.Err() == nil && len(all[w]) < maxCalls; i++ {
				begin := time.Now()
				r, err := client.RouteInquiry(ctx, messages[i%len(messages)])
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					failures[w] = err
					return
				}
				all[w] = append(all[w], timed{time.Now(), time.Since(begin), r.GetDecision().GetModel().GetDigest()})
			}
		})
	}
	time.Sleep(around)
	swap := time.Now()
	d, err := registry.Deploy(ctx, &modelsv1.DeployRequest{Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: shadowed, Model: other.Model, Version: other.Version})
	if err != nil {
		return err
	}
	time.Sleep(around)
	back := time.Now()
	if _, err := registry.Rollback(ctx, &modelsv1.RollbackRequest{Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: shadowed, Reason: "a measurement"}); err != nil {
		return err
	}
	time.Sleep(around)
	stop()
	wg.Wait()
	failed, calls := 0, 0
	for w := range all {
		calls += len(all[w])
		if failures[w] != nil {
			failed++
		}
	}
	b.table.atMost("failed calls of 64 callers over a swap of the live version and a rollback", float64(failed), 0, "calls", count(float64(calls))+" calls", command("trial"))
	before := p99(all, swap.Add(-around), swap)
	during := p99(all, swap, swap.Add(time.Second))
	after := p99(all, swap.Add(time.Second), back)
	b.table.atMost("p99 of calls in the second of a swap, against the seconds before", during/before, 2, "×",
		fmt.Sprintf("p99 %.2f : %.2f ms, from one second after it %.2f ms", during, before, after), command("trial"))
	last := back
	for _, calls := range all {
		for _, c := range calls {
			// A call that ends after the rollback may have begun before it.
			if c.digest == d.GetDeployment().GetChampion().GetDigest() && c.end.Add(-c.took).After(last) {
				last = c.end.Add(-c.took)
			}
		}
	}
	b.table.atMost("until no new call is answered by the version that was rolled back", last.Sub(back).Seconds(), 1, "s", "", command("trial"))
	return nil
}

// p99 returns the p99 of the calls that ended between two times, in ms.
func p99(all [][]timed, from, to time.Time) float64 {
	var times []float64
	for _, calls := range all {
		for _, c := range calls {
			if c.end.After(from) && !c.end.After(to) {
				times = append(times, float64(c.took)/float64(time.Millisecond))
			}
		}
	}
	return percentile(times, 0.99)
}
