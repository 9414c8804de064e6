package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// recordBytes is about what the record of one decision takes.
const recordBytes = 1024

// jetStream is an embedded server that syncs every message before it acknowledges it: what recording would cost without the journal.
type jetStream struct {
	srv *server.Server
	nc  *nats.Conn
	js  jetstream.JetStream
	id  atomic.Int64
}

func (b *bench) startJetStream(ctx context.Context) (_ *jetStream, err error) {
	j := &jetStream{}
	j.srv, err = server.NewServer(&server.Options{
		JetStream: true, StoreDir: filepath.Join(b.work, "jetstream"), DontListen: true, SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, err
	}
	j.srv.Start()
	if !j.srv.ReadyForConnections(10 * time.Second) {
		return nil, fmt.Errorf("the embedded NATS server does not start")
	}
	if j.nc, err = nats.Connect("", nats.InProcessServer(j.srv)); err != nil {
		return nil, err
	}
	if j.js, err = jetstream.New(j.nc); err != nil {
		return nil, err
	}
	_, err = j.js.CreateStream(ctx, jetstream.StreamConfig{Name: "bench", Subjects: []string{"switchyard.*.>"}, Storage: jetstream.FileStorage})
	return j, err
}

func (j *jetStream) stop() {
	j.nc.Close()
	j.srv.Shutdown()
	j.srv.WaitForShutdown()
}

// publish publishes one record at a time from 64 callers, each waiting for its acknowledgement.
func (j *jetStream) publish(ctx context.Context, window time.Duration) (float64, error) {
	data := make([]byte, recordBytes)
	return call(ctx, grpcCallers, window, func(ctx context.Context, _ int, _ int64) error {
		_, err := j.js.Publish(ctx, "switchyard.bench.decisions", data, jetstream.WithMsgID(fmt.Sprint(j.id.Add(1))))
		return err
	})
}

// measureDurable compares what the journal takes with one synced publish per decision, by itself and through the whole product.
func measureDurable(ctx context.Context, b *bench) error {
	const cmd = "go test -run '^$' -bench DurableRatio -benchtime 1x ./internal/journal"
	results, err := goBench(ctx, "./internal/journal", "DurableRatio", "-benchtime", "1x")
	if err != nil {
		return err
	}
	r := results["DurableRatio"]
	if r == nil {
		return fmt.Errorf("no result of %s", cmd)
	}
	b.table.atLeast("durable decisions against one JetStream `sync_interval: always` publish each, 64 callers", r["ratio"], 8,
		fmt.Sprintf("journal %s/s : JetStream %s/s, records of 500 bytes", count(r["journal/s"]), count(r["jetstream/s"])), cmd)

	s, err := b.product(ctx)
	if err != nil {
		return err
	}
	js, err := b.startJetStream(ctx)
	if err != nil {
		return err
	}
	defer js.stop()
	c, err := b.compare(ctx, unary(s.conns, requests(s.texts, recordSync), grpcCallers, &meter{pid: s.server.PID()}), js.publish)
	if err != nil {
		return err
	}
	b.table.add(row{
		what: "the same with everything on: `RouteInquiry` over gRPC, record sync", measured: fmt.Sprintf("%.2f ×", c.ratio()),
		basis: c.basis("answers with durable record", "JetStream publishes alone"), command: command("durable"),
	})
	return nil
}
