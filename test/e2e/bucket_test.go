package e2e

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/lake/laketest"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// line is a network to a bucket that can be slow, or hang.
type line struct {
	to    string
	delay atomic.Int64 // before every piece of data, in nanoseconds
	hangs atomic.Bool  // nothing passes, and nobody is told
}

func startLine(t *testing.T, to string) (*line, string) {
	t.Helper()
	l := &line{to: to}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go l.carry(t.Context(), c)
		}
	}()
	return l, ln.Addr().String()
}

func (l *line) carry(ctx context.Context, c net.Conn) {
	defer func() { _ = c.Close() }()
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		defer func() { _ = to.Close() }()
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			for l.hangs.Load() && ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(time.Duration(l.delay.Load()))
			if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	}
	both.Go(func() { pass(far, c) })
	both.Go(func() { pass(c, far) })
	both.Wait()
}

// TestABucketThatIsAwaySlowOrHangs decides while the bucket of the lake is away, slow, or takes requests and says nothing. Callers do not notice, decisions can be read back
// all the time, the server may even be killed meanwhile, and in the end the lake has every decision once.
func TestABucketThatIsAwaySlowOrHangs(t *testing.T) {
	t.Parallel()
	s3 := laketest.StartS3(t)
	config := s3.Config()
	way, address := startLine(t, strings.TrimPrefix(config.Endpoint, "http://"))
	dir := filepath.Join(t.TempDir(), "data")
	serve := func() *process.Server {
		return startWith(t, process.Options{DataDir: dir, Args: []string{"--socket", "none"}, Env: []string{
			"SWITCHYARD_LAKE_URL=" + s3.Location("ledger"), "SWITCHYARD_LAKE_S3_ENDPOINT=http://" + address, "SWITCHYARD_LAKE_S3_REGION=" + config.Region,
			"SWITCHYARD_LAKE_S3_ACCESS_KEY=" + config.AccessKey, "SWITCHYARD_LAKE_S3_SECRET_KEY=" + config.SecretKey, "SWITCHYARD_LAKE_FLUSH=100ms",
		}})
	}
	s := serve()
	all := map[string]bool{}
	slowest := time.Duration(0)
	work := func(while string) {
		t.Helper()
		conn := dial(t, s, s.Key)
		client, reader := routingv1.NewRoutingServiceClient(conn), decisionsv1.NewDecisionServiceClient(conn)
		for until := time.Now().Add(2 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
			began := time.Now()
			r, err := client.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: "my printer does not work"})
			if err != nil {
				t.Fatalf("a decision while the bucket %s: %v", while, err)
			}
			slowest = max(slowest, time.Since(began))
			all[r.GetDecision().GetDecisionId()] = true
		}
		n := 0
		for id := range all { // of all times
			if _, err := reader.GetDecision(t.Context(), &decisionsv1.GetDecisionRequest{DecisionId: id}); err != nil {
				t.Fatalf("read a decision while the bucket %s: %v", while, err)
			}
			if n++; n == 50 {
				break
			}
		}
	}
	work("answers")
	s3.Stop()
	work("is away")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	s = serve() // and a start without it
	work("is still away")
	s3.Start()
	way.delay.Store(int64(100 * time.Millisecond))
	work("is slow")
	way.hangs.Store(true)
	work("hangs")
	way.hangs.Store(false)
	way.delay.Store(0)
	back := time.Now()
	l := laketest.OpenLake(t, s3.Store("ledger"))
	rows := map[string]int{}
	eventually(t, "the lake has caught up", time.Minute, func() bool {
		clear(rows)
		if err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := l.Each(t.Context(), lake.Decisions, lake.Filter{}, func(row any) error { rows[row.(*lake.Decision).DecisionID]++; return nil })
		return err == nil && len(rows) >= len(all)
	})
	t.Logf("%d decisions, the slowest took %v; the lake has caught up %v after the bucket", len(all), slowest.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
	for id := range all {
		if rows[id] != 1 {
			t.Errorf("decision %s is in the lake %d times", id, rows[id])
		}
	}
	stop(t, s)
}
