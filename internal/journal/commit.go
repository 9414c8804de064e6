package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"
)

// syncPositionEvery bounds how old the position file can be after a power cut.
const syncPositionEvery = time.Second

// run is the committer: the only goroutine that writes segments.
func (j *Journal) run() {
	defer close(j.stopped)
	company, retry, witness := newTimer(), newTimer(), newTimer()
	for {
		select {
		case <-j.wake:
		case <-j.soon:
			company.start(j.cfg.AsyncDelay)
			continue
		case <-company.C:
			company.fired()
		case <-retry.C:
			retry.fired()
			j.returnToService()
		case <-witness.C:
			witness.fired()
			if err := j.pos.sync(); err != nil {
				j.log.Error("position not synced", "journal", j.dir, "error", err)
			}
			continue
		case turned := <-j.turn:
			turned <- j.turnPage()
			continue
		case <-j.stop:
			j.finish()
			return
		}
		j.commit()
		witness.start(syncPositionEvery)
		if j.failed() {
			retry.start(retry.backoff(10*time.Millisecond, j.cfg.RetryDelay))
		} else {
			retry.tries = 0
		}
	}
}

// turnPage begins a new segment, unless the newest holds nothing.
func (j *Journal) turnPage() error {
	if j.failed() {
		return ErrUnavailable
	}
	if j.active().size <= segmentHeader {
		return nil
	}
	return j.addSegment()
}

// finish commits what came before Close; what a failing disk still refuses then is answered with its error.
func (j *Journal) finish() {
	if j.failed() {
		j.returnToService()
	}
	j.commit()
}

// failed says whether the journal is out of service.
func (j *Journal) failed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.broken != nil
}

// commit takes the entries that wait, makes them durable, and answers their callers.
func (j *Journal) commit() {
	b := j.take()
	if b == nil {
		return
	}
	start := time.Now()
	err := j.write(b)
	if err == nil {
		j.witness(b)
	}
	j.mu.Lock()
	j.inflight = 0
	j.stats.CommitTime += time.Since(start)
	if err == nil {
		j.succeed(b)
	} else {
		j.fail(b, err)
	}
	j.mu.Unlock()
	close(b.done)
}

// take swaps the batch that callers fill, asynchronous entries included. It returns nil when there is nothing to write.
func (j *Journal) take() *batch {
	// The callers of the batch before have just been woken and most of them append again at once. Letting them run first makes the groups whole:
	// with 64 callers 45 entries instead of 31 share an fsync, which is 1.5 to 2 times as many a second.
	runtime.Gosched()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == nil {
		for i := range j.async.queue {
			j.encode(&j.async.queue[i])
		}
		j.cur.async, j.async.queue = j.async.queue, nil
	}
	b := j.cur
	if j.swapped != nil {
		close(j.swapped)
		j.swapped = nil
	}
	if len(b.buf) == 0 {
		return nil
	}
	b.last, b.head = j.next-1, j.head
	j.inflight = int64(len(b.buf))
	for i := range b.async {
		j.async.bytes -= recordSize(&b.async[i]) // counted as in flight from here
	}
	j.cur, j.spare = newBatch(j.spare), nil
	return b
}

// write makes a batch durable. When the disk refuses it, the bytes go once more, from memory, to a fresh segment: what fsync failed to write
// must not be synced again, since a second fsync may succeed without having written it.
func (j *Journal) write(b *batch) error {
	j.reclaim(int64(len(b.buf)))
	s := j.active()
	if s.f == nil || s.size > segmentHeader && s.size+int64(len(b.buf)) > j.cfg.SegmentBytes {
		if err := j.addSegment(); err != nil {
			return err
		}
		s = j.active()
	}
	err := s.append(b.buf)
	if err == nil {
		return nil
	}
	j.abandon(s, err)
	if again := j.addSegment(); again != nil {
		return errors.Join(err, again)
	}
	s = j.active()
	if again := s.append(b.buf); again != nil {
		j.abandon(s, again)
		return errors.Join(err, again)
	}
	return nil
}

func (j *Journal) active() *segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[len(j.segments)-1]
}

// append writes after what is durable and waits for the disk.
func (s *segment) append(b []byte) error {
	if err := writeFull(s.f, b, s.size); err != nil {
		return fmt.Errorf("write segment %s: %w", s.name, err)
	}
	if err := s.f.Sync(); err != nil {
		return fmt.Errorf("sync segment %s: %w", s.name, err)
	}
	return nil
}

// abandon gives up a segment after a failed write. What it held before stays valid; the next segment's header says where that ends.
func (j *Journal) abandon(s *segment, cause error) {
	j.log.Error("segment abandoned", "segment", s.name, "error", cause)
	// Cutting off what was never acknowledged only saves room; it may fail like the write did.
	_ = s.f.Truncate(s.size)
	_ = s.f.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	s.f = nil
	j.stats.Failures++
}

// witness notes in the position file that a batch is durable. The entries are safe without it, so its failure is only logged.
func (j *Journal) witness(b *batch) {
	s := j.active()
	err := j.pos.update(func(p *positionState) {
		p.durable, p.hash, p.segment, p.size = b.last, b.head, s.number, s.size+int64(len(b.buf))
	})
	if err != nil {
		j.log.Error("position not written", "journal", j.dir, "error", err)
	}
}

// succeed moves the durable end. The caller holds mu.
func (j *Journal) succeed(b *batch) {
	s := j.segments[len(j.segments)-1]
	s.remember(b.last-uint64(b.count)+1, s.size)
	s.size += int64(len(b.buf))
	j.used += int64(len(b.buf))
	j.durable, j.durHead = b.last, b.head
	j.stats.Appended += uint64(b.count)
	j.stats.Commits++
	j.async.counters.settled.Add(uint64(len(b.async)))
	j.spare, b.buf = b.buf, nil
	j.announce()
}

// fail answers this batch and the one that was filled meanwhile, whose sequences and hashes build on it, and takes the journal out of
// service. Asynchronous entries go back to the queue. The caller holds mu and closes b.done.
func (j *Journal) fail(b *batch, cause error) {
	j.broken = unavailable(cause)
	b.err = j.broken
	for i := range b.async {
		j.async.bytes += recordSize(&b.async[i])
	}
	j.async.queue = append(b.async, j.async.queue...)
	next := j.cur
	j.cur = newBatch(b.buf)
	j.next, j.head = j.durable+1, j.durHead
	next.err = j.broken
	close(next.done)
	j.log.Error("journal out of service", "journal", j.dir, "error", cause)
}

// returnToService tries whether the disk takes a fresh segment.
func (j *Journal) returnToService() {
	err := j.addSegment()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.broken = unavailable(err)
		j.stats.Failures++
		return
	}
	j.broken = nil
	j.log.Info("journal back in service", "journal", j.dir)
}

// timer is a time.Timer that is either waiting once or not at all.
type timer struct {
	*time.Timer
	armed bool
	tries int
}

func newTimer() *timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &timer{Timer: t}
}

func (t *timer) start(d time.Duration) {
	if !t.armed {
		t.armed = true
		t.Reset(d)
	}
}

func (t *timer) fired() { t.armed = false }

// backoff returns a pause that doubles with each call, up to a limit.
func (t *timer) backoff(first, limit time.Duration) time.Duration {
	d := first << min(t.tries, 20)
	t.tries++
	return min(d, limit)
}

func (j *Journal) path(name string) string { return filepath.Join(j.dir, name) }
