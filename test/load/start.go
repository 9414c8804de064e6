package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// models is how many banking77 models the figures speak of.
const models = 10

// coldStart returns how long a start takes, from the exec to a key file and a ready answer over REST.
func (b *bench) coldStart(ctx context.Context, o process.Options) (time.Duration, *process.Server, error) {
	start := time.Now()
	s, err := process.Start(ctx, o)
	if err != nil {
		return 0, nil, err
	}
	a, err := s.Get(ctx, "/readyz")
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("/readyz answers %d: %s", a.Status, a.Body)
	}
	return time.Since(start), s, err
}

// starts measures several starts; fresh removes the data folder before each.
func (b *bench) starts(ctx context.Context, o process.Options, fresh bool) (times []float64, err error) {
	for range b.rounds + 1 {
		if fresh {
			if err := os.RemoveAll(o.DataDir); err != nil {
				return nil, err
			}
			_ = os.Remove(o.DataDir + ".key")
		}
		d, s, err := b.coldStart(ctx, o)
		if err == nil {
			err = s.Stop()
		}
		if err != nil {
			return nil, err
		}
		times = append(times, float64(d.Microseconds())/1000)
	}
	return times[1:], nil // the first one also read the binary from the disk
}

func (b *bench) bankingModels(ctx context.Context) (dir string, err error) {
	s, err := b.startProduct(ctx, "models")
	if err != nil {
		return "", err
	}
	for i := range models {
		// Different seeds make different artifacts: equal ones would be one file.
		if _, err := b.train(ctx, s, "routing", fmt.Sprintf("banking-%d", i), "banking77", "", "--seed", fmt.Sprint(i+1)); err != nil {
			return "", errors.Join(err, s.Stop())
		}
	}
	return b.work + "/models", s.Stop()
}

func measureStart(ctx context.Context, b *bench) error {
	info, err := os.Stat(b.bin)
	if err != nil {
		return err
	}
	b.table.atMost("binary, stripped", float64(info.Size())/1e6, 60, "MB", "", "make build && ls -l bin/switchyard")

	show := func(what string, times []float64, figure float64) {
		r := row{what: what, measured: number(median(times)) + " ms", basis: fmt.Sprintf("%d starts, %.0f–%.0f ms", len(times), slices.Min(times), slices.Max(times)), command: command("start")}
		if figure > 0 {
			r.figure, r.met = "≤ "+number(figure)+" ms", median(times) <= figure
		}
		b.table.add(r)
	}
	empty := process.Options{Bin: b.bin, DataDir: b.work + "/empty", Args: []string{"--socket", "none", "--no-starter"}}
	times, err := b.starts(ctx, empty, true)
	if err != nil {
		return err
	}
	show("cold start to ready, empty data folder, no starter models", times, 60)
	starters := empty
	starters.Args = []string{"--socket", "none"}
	if times, err = b.starts(ctx, starters, true); err != nil {
		return err
	}
	show("cold start to ready, empty data folder, starter models registered", times, 0)
	dir, err := b.bankingModels(ctx)
	if err != nil {
		return err
	}
	if times, err = b.starts(ctx, process.Options{Bin: b.bin, DataDir: dir, Args: empty.Args}, false); err != nil {
		return err
	}
	show("cold start to ready, 10 models of 77 labels", times, 300)
	return nil
}

// settled is how long a started server is left alone before its memory is read.
const settled = 3 * time.Second

// idle starts a server, asks every named deployment once, and returns what it then occupies.
func (b *bench) idle(ctx context.Context, o process.Options, deployments []string) (m memory, err error) {
	s, err := process.Start(ctx, o)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	conn, err := process.Dial(s.GRPC, s.Key)
	if err != nil {
		return m, err
	}
	defer func() { _ = conn.Close() }()
	for _, d := range deployments {
		// A model's pages are mapped, and read when they are first needed.
		_, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: d, Body: "I still have not received my new card, can you tell me when it comes?"})
		if err != nil {
			return m, err
		}
	}
	select {
	case <-ctx.Done():
		return m, ctx.Err()
	case <-time.After(settled):
	}
	return memoryOf(s.PID())
}

func measureMemory(ctx context.Context, b *bench) error {
	args := []string{"--socket", "none", "--no-starter"}
	empty, err := b.idle(ctx, process.Options{Bin: b.bin, DataDir: b.work + "/idle", Args: args}, nil)
	if err != nil {
		return err
	}
	detail := func(m memory) string {
		return fmt.Sprintf("resident set; PSS %.1f, private %.1f MiB", m.pss, m.private)
	}
	b.table.atMost("idle memory, no models", empty.rss, 60, "MiB", detail(empty), command("memory"))
	starters, err := b.idle(ctx, process.Options{Bin: b.bin, DataDir: b.work + "/idle-starters", Args: []string{"--socket", "none"}}, nil)
	if err != nil {
		return err
	}
	b.table.atMost("idle memory, starter models", starters.rss, 60, "MiB", detail(starters), command("memory"))

	dir := b.work + "/models"
	if _, err := os.Stat(dir); err != nil {
		if dir, err = b.bankingModels(ctx); err != nil {
			return err
		}
	}
	var names []string
	for i := range models {
		names = append(names, fmt.Sprintf("banking-%d", i))
	}
	full, err := b.idle(ctx, process.Options{Bin: b.bin, DataDir: dir, Args: args}, names)
	if err != nil {
		return err
	}
	b.table.atMost("each further model of 77 labels", (full.rss-empty.rss)/models, 10, "MiB",
		fmt.Sprintf("10 models, each asked once: %s, %.1f MiB in all", detail(full), full.rss), command("memory"))
	return nil
}
