package serving

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/cores"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	firstWait = 100 * time.Millisecond
	longWait  = 10 * time.Second
)

// Run follows the registry until ctx ends, and opens the watch again with growing waits when it breaks; meanwhile the table answers
// as before. It returns an error only when the folder of artifacts cannot be used. Afterwards every model is closed once its last call
// has ended.
func (t *Table) Run(ctx context.Context) error {
	blobs, err := blob.Open(t.cache, maxArtifact)
	if err != nil {
		return fmt.Errorf("serve models: %w", err)
	}
	defer blobs.Close()
	defer t.clear()
	l := &loader{models: t.models, blobs: blobs, table: t}
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		begin := time.Now()
		err := t.follow(ctx, l)
		if ctx.Err() != nil {
			return nil // the watch broke because it was told to
		}
		if time.Since(begin) > longWait { // it worked for a while: not the same trouble
			wait = firstWait
		}
		level := slog.LevelWarn
		if fault.From(err).Reason() == commonv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN { // a registry that drains is replaced soon
			level = slog.LevelDebug
		}
		t.log.Log(ctx, level, "watch of deployments broke, will open it again", "error", err, "wait", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// follow runs one watch. What arrives while models are being loaded is taken together afterwards, each deployment in its newest state.
func (t *Table) follow(ctx context.Context, l *loader) error {
	ctx, cancel := context.WithCancel(ctx)
	inbox := newInbox()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	stream, err := t.models.WatchDeployments(ctx, &modelsv1.WatchDeploymentsRequest{AllProjects: true})
	if err != nil {
		return err
	}
	wg.Go(func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF // the registry never ends a watch by itself
				}
				inbox.end(err)
				return
			}
			inbox.put(m)
		}
	})
	failed := map[Key]*modelsv1.Deployment{} // to be tried again
	retry, wait := (<-chan time.Time)(nil), firstWait
	for synced := false; ; {
		var batch map[Key]*modelsv1.Deployment
		first := false
		select {
		case <-inbox.wake:
			if batch, err = inbox.take(); err != nil {
				return err
			}
			first, synced = !synced, true
		case <-retry:
			batch, failed, wait = failed, map[Key]*modelsv1.Deployment{}, min(2*wait, longWait)
		case <-ctx.Done():
			return ctx.Err()
		}
		for k := range batch {
			delete(failed, k)
		}
		maps.Copy(failed, t.apply(ctx, l, batch, first))
		if retry = nil; len(failed) > 0 {
			retry = time.After(wait)
		} else {
			wait = firstWait
		}
		if first {
			t.syncOnce.Do(func() { close(t.synced) })
		}
	}
}

// apply loads what the deployments need, side by side, and puts them into the table in one step. When the batch is all that the
// registry has, other deployments leave the table. It returns the deployments that could not be loaded for a reason that may pass.
func (t *Table) apply(ctx context.Context, l *loader, batch map[Key]*modelsv1.Deployment, all bool) map[Key]*modelsv1.Deployment {
	old := map[Key]*Live{}
	if m := t.live.Load(); m != nil {
		old = *m
	}
	opened := t.openAll(ctx, l, batch, old)
	next, retry := make(map[Key]*Live, len(old)+len(batch)), map[Key]*modelsv1.Deployment{}
	var replaced []*Live
	for k, live := range old {
		if _, still := batch[k]; all && !still {
			replaced = append(replaced, live)
			continue
		}
		next[k] = live
	}
	for k, d := range batch {
		before := old[k]
		if before != nil && !before.broken && before.whole && proto.Equal(before.Deployment, d) {
			continue // a watch that was opened again sends everything again
		}
		trials, late := t.trials(ctx, d, opened)
		if late && ctx.Err() == nil {
			retry[k] = d
		}
		o := opened[d.GetChampion().GetDigest()]
		switch {
		case d.GetChampion() == nil:
			next[k] = newLive(d, nil, trials, false)
		case o.err == nil:
			o.model.refs.Add(1)
			next[k] = newLive(d, o.model, trials, false)
		default:
			for _, tr := range trials {
				tr.model.release()
			}
			if ctx.Err() != nil { // shutting down: no news
				continue
			}
			t.log.ErrorContext(ctx, "model could not be loaded", "project", k.Project, "deployment", k.Name, "model", d.GetChampion().GetModel(),
				"version", d.GetChampion().GetVersion(), "kept", before != nil && !before.broken, "error", o.err)
			if !errors.Is(o.err, engine.ErrFormat) { // a file that is no model will not become one
				retry[k] = d
			}
			if before != nil && !before.broken {
				continue // the old version goes on
			}
			next[k] = newLive(d, nil, nil, true)
		}
		if before != nil {
			replaced = append(replaced, before)
		}
	}
	t.live.Store(&next)
	for _, l := range replaced { // only now: whoever read the old table and lost the race finds the new one
		l.Release()
	}
	for _, o := range opened {
		if o.err == nil {
			o.model.release()
		}
	}
	return retry
}

// opening is the result of opening one artifact; it holds a reference of its own.
type opening struct {
	model *model
	err   error
}

// openAll returns a model for every digest that the batch needs, shared with the table where it is open already.
func (t *Table) openAll(ctx context.Context, l *loader, batch map[Key]*modelsv1.Deployment, old map[Key]*Live) map[string]*opening {
	type wanted struct {
		project string
		version *modelsv1.ModelVersion
	}
	needed := map[string]wanted{}
	for _, d := range batch {
		for _, v := range versions(d) {
			needed[v.GetDigest()] = wanted{d.GetProject(), v}
		}
	}
	out := make(map[string]*opening, len(needed))
	for _, live := range old {
		for _, m := range live.models() {
			if _, is := needed[m.digest]; is && out[m.digest] == nil && m.share() {
				out[m.digest] = &opening{model: m}
				delete(needed, m.digest)
			}
		}
	}
	work, digests := make(chan string), slices.Sorted(maps.Keys(needed))
	for _, digest := range digests {
		out[digest] = &opening{}
	}
	var wg sync.WaitGroup
	for range min(len(digests), max(2, cores.Count())) {
		wg.Go(func() {
			for digest := range work {
				o := out[digest]
				o.model, o.err = l.load(ctx, needed[digest].project, needed[digest].version)
			}
		})
	}
	for _, digest := range digests {
		work <- digest
	}
	close(work)
	wg.Wait()
	return out
}

// clear empties the table.
func (t *Table) clear() {
	if old := t.live.Swap(&map[Key]*Live{}); old != nil {
		for _, l := range *old {
			l.Release()
		}
	}
}
