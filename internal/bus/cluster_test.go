package bus_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/bus/bustest"
)

// cluster starts three servers on the loopback interface and returns them and their addresses.
func cluster(t *testing.T) ([]*server.Server, string) {
	t.Helper()
	var routes []*url.URL
	var ports []int
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: fmt.Sprint("127.0.0.1:", port)})
	}
	var all []*server.Server
	var urls []string
	for i, port := range ports {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: bus.Default().MessageBytes,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		all = append(all, s)
	}
	for _, s := range all {
		if !s.ReadyForConnections(10 * time.Second) {
			t.Fatal("a server does not start")
		}
		urls = append(urls, s.ClientURL())
	}
	return all, strings.Join(urls, ",")
}

// clustered connects to a cluster after removing the stream of the test before.
func clustered(tb testing.TB, urls string, c bus.Config) *bus.Bus {
	tb.Helper()
	nc, err := nats.Connect(urls)
	if err != nil {
		tb.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	for {
		// A request that comes before there is a leader is never answered.
		once, done := context.WithTimeout(ctx, time.Second)
		err := js.DeleteStream(once, bus.Stream)
		done()
		if err == nil || errors.Is(err, jetstream.ErrStreamNotFound) {
			break
		}
		if ctx.Err() != nil {
			tb.Fatalf("the cluster finds no leader: %v", err)
		}
	}
	c.URL, c.Replicas = urls, 3
	c.MaxBytes = 1 << 30
	return open(tb, "", c)
}

func TestClustered(t *testing.T) {
	if testing.Short() {
		t.Skip("elects leaders")
	}
	servers, urls := cluster(t)
	bustest.RunOneByOne(t, func(tb testing.TB, c bus.Config) *bus.Bus { return clustered(tb, urls, c) })
	t.Run("ALostLeaderIsReplaced", func(t *testing.T) {
		b := clustered(t, urls, bus.Default())
		wait(t, b)
		msgs := bustest.Messages("p", "a", 300)
		if err := b.PublishBatch(t.Context(), msgs[:200]); err != nil {
			t.Fatal(err)
		}
		s, err := b.JetStream().Stream(t.Context(), bus.Stream)
		if err != nil {
			t.Fatal(err)
		}
		var consumed, followed bustest.Sink
		bustest.Consume(t, b, bus.Consumer{Name: "sink", AckWait: time.Second}, consumed.Handle)
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		following, stop := context.WithCancel(ctx)
		wg.Go(func() {
			if err := b.Follow(following, bus.Position{}, nil, time.Second, followed.Handle); err != nil {
				t.Error(err)
			}
		})
		consumed.Wait(t, 200)
		followed.Wait(t, 200)
		for _, srv := range servers {
			if srv.Name() == s.CachedInfo().Cluster.Leader {
				srv.Shutdown()
			}
		}
		lost := time.Now()
		until(ctx, t, "publishing works again", func() bool { return b.PublishBatch(ctx, msgs) == nil })
		t.Logf("publishing again %v after the leader was lost", time.Since(lost))
		until(ctx, t, "all is consumed", func() bool { return len(distinct(consumed.IDs())) == len(msgs) })
		followed.Wait(t, len(msgs))
		t.Logf("all was read %v after the leader was lost; %d deliveries", time.Since(lost), len(consumed.IDs()))
		stop()
		wg.Wait()
		var read []string
		until(ctx, t, "reading works again", func() bool {
			read = nil
			return b.Read(ctx, bus.Position{}, nil, func(d bus.Delivery) error { read = append(read, d.EventID); return nil }) == nil
		})
		if !slices.Equal(read, followed.IDs()) || len(read) != len(msgs) || len(distinct(read)) != len(msgs) {
			t.Fatalf("%d messages were read, %d followed, of %d", len(read), len(followed.IDs()), len(msgs))
		}
	})
}
