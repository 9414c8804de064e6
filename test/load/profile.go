package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"time"

	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// profileProduct runs the product inside this process, calls it in each way, and writes one processor profile for each. The callers are
// in the profiles too: look at what lies below the server's handlers. only chooses among grpc-async, grpc-sync, stream, rest and job.
func (b *bench) profileProduct(ctx context.Context, only string) error {
	choose, err := regexp.Compile("^(" + only + ")$")
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if err := b.prepare(); err != nil {
		return err
	}
	defer b.cleanUp()
	if err := os.MkdirAll(b.profile, 0o750); err != nil {
		return err
	}
	// The model is trained by the usual way into a folder that the product here then opens.
	s, err := b.product(ctx)
	if err != nil {
		return err
	}
	if _, err := b.train(ctx, s.server, "classification", "banking", "banking77", ""); err != nil {
		return err
	}
	for _, c := range s.conns {
		_ = c.Close()
	}
	if err := s.server.Stop(); err != nil {
		return err
	}
	addresses, end, err := b.serveHere(ctx)
	if err != nil {
		return err
	}
	defer end()
	var conns []*grpc.ClientConn
	for range connections {
		conn, err := process.Dial(addresses.GRPC, s.server.Key)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		conns = append(conns, conn)
	}
	for _, p := range []struct {
		name string
		side side
	}{
		{"grpc-async", unary(conns, requests(s.texts, recordAsync), grpcCallers, &meter{})},
		{"grpc-sync", unary(conns, requests(s.texts, recordSync), grpcCallers, &meter{})},
		{"stream", streamed(conns, s.texts, recordAsync, &meter{})},
		{"rest", rest(routePath, addresses.HTTP, s.server.Key, s.texts, &meter{})},
	} {
		if only != "" && !choose.MatchString(p.name) {
			continue
		}
		if err := b.profileSide(ctx, p.name, p.side); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	texts, err := b.readTexts("banking77/test.jsonl.gz")
	if err != nil {
		return err
	}
	if only != "" && !choose.MatchString("job") {
		return nil
	}
	return b.profileSide(ctx, "job", jobSide(conns[0], texts))
}

// jobSide runs one job of as many items as are decided in about the window, beside somebody who calls, and returns how many items a second.
func jobSide(conn *grpc.ClientConn, texts []string) side {
	return func(ctx context.Context, window time.Duration) (float64, error) {
		items, peak := int(window.Seconds()*10_000), 0.0
		id := fmt.Sprint("profile-", items)
		began := time.Now()
		if err := submitTexts(ctx, conn, id, texts, items); err != nil {
			return 0, err
		}
		ended, called := make(chan time.Time), make(chan error, 1)
		go func() {
			times, err := interactive(ctx, conn, texts, ended)
			fmt.Fprintf(os.Stderr, "single calls meanwhile: p50 %.2f, p99 %.2f ms\n", percentile(times, 0.5), percentile(times, 0.99))
			called <- err
		}()
		err := followJob(ctx, conn, id, int64(items), os.Getpid(), &peak)
		close(ended)
		return float64(items) / time.Since(began).Seconds(), errors.Join(err, <-called)
	}
}

func (b *bench) serveHere(ctx context.Context) (app.Addresses, func(), error) {
	c := app.Default()
	c.DataDir = filepath.Join(b.work, "product")
	c.GRPC.Address, c.GRPC.Socket, c.HTTP = "127.0.0.1:0", "none", "127.0.0.1:0"
	c.DevKeyFile = c.DataDir + ".key"
	a, err := app.Start(ctx, c, app.Options{Version: "bench", Log: os.Stderr})
	if err != nil {
		return app.Addresses{}, nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return a.Addresses(), func() {
		stop()
		<-done
		if err := a.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}, nil
}

func (b *bench) profileSide(ctx context.Context, name string, s side) error {
	if _, err := s(ctx, time.Second); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(b.profile, name+".pprof"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	rate, err := s(ctx, 2*b.window)
	pprof.StopCPUProfile()
	fmt.Fprintf(os.Stderr, "%s: %s/s, %s\n", name, count(rate), f.Name())
	if err != nil {
		return err
	}
	// All allocations since the start; look at the difference to the one before with "go tool pprof -base".
	heap, err := os.Create(filepath.Join(b.profile, name+".allocs.pprof"))
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(heap, 0), heap.Close())
}
