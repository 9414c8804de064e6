package bus

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// recent holds what this process has published last and the embedded stream has acknowledged, so that those who follow the stream in the same process get it from here:
// the same messages for all of them, and nothing is read, sent through a connection and decoded again. It holds a part of the stream and is never asked to be
// complete: who finds a gap, or was not here in time, reads from the stream.
type recent struct {
	followers atomic.Int32 // without any nothing is kept

	mu    sync.Mutex
	first uint64     // sequence of the first slot
	slots []Delivery // by sequence, without gaps; Seq is 0 where a message is not known
	bytes int
	grew  chan struct{} // closed when something is added
}

const (
	// Followers are rarely more than a moment behind.
	recentBytes = 8 << 20
	recentSlots = 1 << 14
	// recentCost is about what a message takes beside its data: headers, ids, the slot.
	recentCost = 1200
	// gapPatience is how long a gap may take to close: messages that two publishers sent at the same time are acknowledged in any order.
	gapPatience = 20 * time.Millisecond
	// verifyEvery is how often a follower to whom nothing comes makes sure that the stream has nothing either.
	verifyEvery = time.Second
)

// add takes messages that the stream has acknowledged under consecutive sequences.
func (r *recent) add(first uint64, msgs []Msg, ids []string, at time.Time) {
	if r.followers.Load() == 0 || first == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.slots) == 0 {
		r.first = first
	}
	for i := range msgs {
		m, seq := &msgs[i], first+uint64(i)
		if seq < r.first {
			continue
		}
		if seq-r.first > uint64(len(r.slots))+recentSlots {
			r.clear() // what is between was not published here
			r.first = seq
		}
		for seq >= r.first+uint64(len(r.slots)) {
			r.slots = append(r.slots, Delivery{})
		}
		slot := &r.slots[seq-r.first]
		if slot.Seq == 0 {
			r.bytes += len(m.Data) + recentCost
		}
		*slot = Delivery{Subject: m.Subject, ID: ids[i], EventID: m.ID, Seq: seq, Time: at, Header: m.Header, Data: m.Data, Attempt: 1}
	}
	r.trim()
	if r.grew != nil {
		close(r.grew)
		r.grew = nil
	}
}

// trim lets go of the oldest. The caller holds mu.
func (r *recent) trim() {
	n := 0
	for r.bytes > recentBytes || len(r.slots)-n > recentSlots {
		if s := &r.slots[n]; s.Seq != 0 {
			r.bytes -= len(s.Data) + recentCost
		}
		r.slots[n] = Delivery{}
		n++
	}
	if n == 0 {
		return
	}
	r.first += uint64(n)
	if r.slots = r.slots[n:]; cap(r.slots) < len(r.slots)+len(r.slots)/4 {
		r.slots = append(make([]Delivery, 0, 2*len(r.slots)+1024), r.slots...)
	}
}

func (r *recent) clear() { r.slots, r.bytes = nil, 0 }

// reset forgets everything: the stream may have lost what it acknowledged.
func (r *recent) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
}

// forget forgets one message, which is a gap from then on.
func (r *recent) forget(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq >= r.first && seq-r.first < uint64(len(r.slots)) {
		if s := &r.slots[seq-r.first]; s.Seq != 0 {
			r.bytes -= len(s.Data) + recentCost
			*s = Delivery{}
		}
	}
}

// after appends up to n messages from a sequence on, up to the first gap. known is false when the sequence is in a gap or before what is held, so that only the stream
// can tell; grew is closed when more comes.
func (r *recent) after(seq uint64, n int, into []Delivery) (batch []Delivery, known bool, grew <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grew == nil {
		r.grew = make(chan struct{})
	}
	grew = r.grew
	if len(r.slots) == 0 || seq < r.first || seq > r.first+uint64(len(r.slots)) {
		return into, false, grew
	}
	rest := r.slots[seq-r.first:]
	if len(rest) == 0 {
		return into, true, grew
	}
	for i := range rest[:min(n, len(rest))] {
		if rest[i].Seq == 0 {
			break
		}
		into = append(into, rest[i])
	}
	return into, len(into) > 0, grew
}

// holds says whether the message of a sequence is here.
func (r *recent) holds(seq uint64) bool {
	batch, _, _ := r.after(seq, 1, nil)
	return len(batch) > 0
}

// covers says whether a follower who has everything before a sequence can go on from here.
func (r *recent) covers(seq uint64) bool {
	_, known, _ := r.after(seq, 1, nil)
	return known
}

// followRecent follows from what was published here, as long as it is complete. It returns nil when the stream has to be asked.
func (b *Bus) followRecent(ctx, up context.Context, from *Position, want *chosen, idle time.Duration, fn func(context.Context, []Delivery) error) error {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	var batch []Delivery
	verified := time.Now()
	for gap := false; ; {
		var known bool
		var grew <-chan struct{}
		batch, known, grew = b.recent.after(from.Seq, readBatch, batch[:0])
		if len(batch) > 0 {
			gap = false
			last := batch[len(batch)-1].Seq
			if chosen := want.of(batch); len(chosen) > 0 {
				if err := fn(ctx, chosen); err != nil {
					return permanent{err}
				}
				timer.Reset(idle)
			}
			from.Seq = last + 1
			clear(batch)
			continue
		}
		if !known && gap {
			return nil
		}
		wait := (<-chan time.Time)(nil)
		if gap = !known; gap {
			wait = time.After(gapPatience)
		}
		select {
		case <-grew:
			gap = false
		case <-wait:
		case <-up.Done():
			return context.Cause(up)
		case <-timer.C:
			if err := fn(ctx, nil); err != nil {
				return permanent{err}
			}
			timer.Reset(idle)
			if time.Since(verified) < verifyEvery {
				continue
			}
			verified = time.Now()
			bounds, err := b.Bounds(up)
			if err != nil {
				return err
			}
			if bounds.Last >= from.Seq && !b.recent.holds(from.Seq) {
				return nil // somebody else publishes to this stream
			}
		}
	}
}

// chosen picks the messages that filters match.
type chosen struct {
	filters []string
	known   map[string]bool // by subject; there are few
}

func newChosen(filters []string) *chosen { return &chosen{filters: filters, known: map[string]bool{}} }

// of returns the messages that match, in the memory of those that it got.
func (c *chosen) of(batch []Delivery) []Delivery {
	if len(c.filters) == 0 {
		return batch
	}
	return slices.DeleteFunc(batch, func(d Delivery) bool { return !c.matches(d.Subject) })
}

func (c *chosen) matches(subject string) bool {
	is, ok := c.known[subject]
	if !ok {
		if len(c.known) > 10_000 {
			clear(c.known)
		}
		is = slices.ContainsFunc(c.filters, func(f string) bool { return matches(f, subject) })
		c.known[strings.Clone(subject)] = is
	}
	return is
}

// matches says whether a filter matches a subject: "*" stands for one token, ">" at the end for one or more.
func matches(filter, subject string) bool {
	for {
		f, moreFilter, filterGoesOn := strings.Cut(filter, ".")
		s, moreSubject, subjectGoesOn := strings.Cut(subject, ".")
		if f == ">" && !filterGoesOn {
			return true
		}
		if f != "*" && f != s {
			return false
		}
		if !filterGoesOn || !subjectGoesOn {
			return filterGoesOn == subjectGoesOn
		}
		filter, subject = moreFilter, moreSubject
	}
}
