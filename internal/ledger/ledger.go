// Package ledger finds what was recorded, wherever it is on its way: in the journal of this process, in the stream, in the lake.
//
// A record is first in the journal, then in the stream, then in the lake, and leaves a place only after it has reached the next one. Whoever looks in this
// order cannot miss it.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// ErrNotFound means that a place does not hold the record.
var ErrNotFound = errors.New("record not found")

// Key names one decision.
type Key struct {
	Project string
	ID      string    // UUIDv7 in lower case
	Time    time.Time // what the id says of when it was made
}

// NewKey reads the time out of an id. It returns false when the id is no UUIDv7 and so none of a decision.
func NewKey(project, id string) (Key, bool) {
	t, ok := lake.IDTime(id)
	return Key{Project: project, ID: id, Time: t}, ok
}

// subject is where the decisions of a project are recorded.
func (k *Key) subject() string { return "switchyard." + k.Project + ".decisions" }

const (
	// skew is how far the clock that stamped an id and the one that stamped the message may be apart.
	skew = 2 * time.Second
	// late is how long after its id was made a record is appended at the latest, unless a disk or a bus was away: no call may take longer.
	late = 10 * time.Second
	// patience is how many records that were made later are looked at before a record counts as absent: one that was held up, by a journal whose relay
	// lagged behind those of other processes or because its call was repeated under an idempotency key, comes after its time.
	patience = 20_000
)

// search decides, record by record in the order of a log, whether one is the wanted one and whether to go on.
type search struct {
	key   Key
	later int
}

// visit says whether the record with that id is the one, and whether there is hope left.
func (s *search) visit(id string) (found, enough bool) {
	if id == s.key.ID {
		return true, true
	}
	if t, ok := lake.IDTime(id); ok && t.After(s.key.Time.Add(late)) {
		s.later++
	}
	return false, s.later > patience
}

// errStop ends a reading early; it is never returned.
var errStop = errors.New("enough")

func decode(data []byte) (*commonv1.DecisionRecord, error) {
	r := &commonv1.DecisionRecord{}
	if err := proto.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("decode decision record: %w", err)
	}
	return r, nil
}

// Place is somewhere that records can be found.
type Place interface {
	// Find returns the record of a decision, ErrNotFound, or why it could not look.
	Find(ctx context.Context, k Key) (*commonv1.DecisionRecord, error)
}

// Places are looked at in their order.
type Places []Place

// Find returns the record from the first place that holds it. It fails with ErrNotFound only when all of them were looked at.
func (ps Places) Find(ctx context.Context, k Key) (*commonv1.DecisionRecord, error) {
	var failed error
	for _, p := range ps {
		r, err := p.Find(ctx, k)
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, ErrNotFound) {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		return nil, failed
	}
	return nil, ErrNotFound
}
