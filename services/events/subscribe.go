package events

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const defaultHeartbeat = 15 * time.Second

// Subscribe sends the events of the caller's project until the caller goes away or the service closes.
func (s *Service) Subscribe(req *eventsv1.SubscribeRequest, stream grpc.ServerStreamingServer[eventsv1.SubscribeResponse]) error {
	project, err := project(stream.Context())
	if err != nil {
		return err
	}
	leave, err := s.enter(project)
	if err != nil {
		return err
	}
	defer leave()
	at, gap, err := s.begin(stream.Context(), req)
	if err != nil {
		return err
	}
	sub := &subscription{stream: stream, filter: newFilter(project, req.GetFilter()), at: at, heartbeat: defaultHeartbeat}
	if req.GetHeartbeat() != nil {
		sub.heartbeat = req.GetHeartbeat().AsDuration()
	}
	if err := stream.Send(&eventsv1.SubscribeResponse{Cursor: at.String(), Gap: gap}); err != nil {
		return err
	}
	sub.sent = time.Now()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	caller := auth.FromContext(ctx)
	if !caller.Expire.IsZero() { // a stream lives for days, a key perhaps does not
		ctx, cancel = context.WithDeadline(ctx, caller.Expire)
		defer cancel()
	}
	stop := context.AfterFunc(s.closing, cancel)
	defer stop()
	err = s.stream.Follow(ctx, at.start(), sub.filter.subjects, sub.heartbeat, sub.take)
	switch {
	case err != nil:
		return err
	case stream.Context().Err() != nil:
		return stream.Context().Err()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fault.KeyExpired(caller.KeyID, caller.Expire)
	}
	// The last word before a shutdown says where to go on.
	if err := stream.Send(&eventsv1.SubscribeResponse{Cursor: sub.at.String()}); err != nil {
		return err
	}
	return fault.ShuttingDown()
}

// subscription is one open stream.
type subscription struct {
	stream    grpc.ServerStreamingServer[eventsv1.SubscribeResponse]
	filter    filter
	heartbeat time.Duration
	at        cursor    // after what was looked at
	sent      time.Time // when something was last sent
}

// take sends what the filter lets through. The caller's speed is ours: what it does not read yet stays in the event store.
func (u *subscription) take(batch []*Message) error {
	for _, m := range batch {
		u.at = cursor{seq: m.Seq}
		if !u.filter.holds(m) {
			continue
		}
		e := m.event()
		if err := u.stream.Send(&eventsv1.SubscribeResponse{Event: e, Cursor: e.GetCursor()}); err != nil {
			return err
		}
		u.sent = time.Now()
	}
	if len(batch) > 0 && time.Since(u.sent) < u.heartbeat {
		return nil
	}
	u.sent = time.Now()
	return u.stream.Send(&eventsv1.SubscribeResponse{Cursor: u.at.String()})
}

// begin returns where a stream begins, and whether events before that are missing that the caller asked for.
func (s *Service) begin(ctx context.Context, req *eventsv1.SubscribeRequest) (at cursor, gap bool, err error) {
	if req.GetCursor() != "" {
		if at, err = parseCursor(req.GetCursor()); err != nil {
			return at, false, err
		}
	}
	first, last, err := s.stream.Bounds(ctx)
	if err != nil {
		return at, false, err
	}
	switch {
	case req.GetCursor() != "":
		at, gap = within(at, first, last)
	case req.GetSince() != nil:
		at = cursor{time: req.GetSince().AsTime()}
	case req.GetOldest():
		at = cursor{seq: first - 1}
	default:
		at = cursor{seq: last}
	}
	return at, gap, nil
}

// within moves a cursor to what is kept. A cursor beyond the end is one of a store that is lost.
func within(c cursor, first, last uint64) (cursor, bool) {
	if c.time.IsZero() && (c.seq+1 < first || c.seq > last) {
		return cursor{seq: first - 1}, true
	}
	return c, false
}

// enter counts an open stream of a project.
func (s *Service) enter(project string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Err() != nil {
		return nil, fault.ShuttingDown()
	}
	if n := s.open[project]; n >= s.config.MaxSubscriptions {
		return nil, fault.ConcurrencyLimited(project, n, s.config.MaxSubscriptions, time.Second)
	}
	s.open[project]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[project]--; s.open[project] == 0 {
			delete(s.open, project)
		}
	}, nil
}

// Limits of one page.
const (
	maxSearched  = 20_000
	maxPageBytes = 2 << 20
)

var errPageFull = errors.New("page is full")

// ListEvents lists the events of the caller's project, oldest first.
func (s *Service) ListEvents(ctx context.Context, req *eventsv1.ListEventsRequest) (*eventsv1.ListEventsResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	filterKey := listKey(req)
	after, more, err := db.ParseToken(req.GetPage().GetToken(), "events", filterKey, 1)
	if err != nil {
		return nil, err
	}
	var at cursor
	switch {
	case more:
		if at.seq, err = strconv.ParseUint(after[0], 10, 64); err != nil {
			return nil, fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
		}
	case req.GetCursor() != "":
		if at, err = parseCursor(req.GetCursor()); err != nil {
			return nil, err
		}
	case req.GetSince() != nil:
		at.time = req.GetSince().AsTime()
	}
	res := &eventsv1.ListEventsResponse{Page: &commonv1.PageResponse{}}
	f, size := newFilter(project, req.GetFilter()), db.PageSize(req.GetPage().GetSize())
	searched, bytes := 0, 0
	err = s.stream.Read(ctx, at.start(), f.subjects, func(m *Message) error {
		if len(res.Events) == size || searched == maxSearched || len(res.Events) > 0 && bytes > maxPageBytes {
			return errPageFull
		}
		searched++
		at = cursor{seq: m.Seq}
		if f.holds(m) {
			e := m.event()
			bytes += proto.Size(e)
			res.Events = append(res.Events, e)
		}
		return nil
	})
	if errors.Is(err, errPageFull) {
		res.Page.NextToken, err = db.Token("events", filterKey, strconv.FormatUint(at.seq, 10)), nil
	}
	if err != nil {
		return nil, err
	}
	if at != (cursor{}) {
		res.Cursor = at.String()
	}
	return res, nil
}

// listKey names a list, so that a token of one is not taken for one of another.
func listKey(req *eventsv1.ListEventsRequest) string {
	f := req.GetFilter()
	key := []string{strings.Join(f.GetKinds(), ","), f.GetOperation().String(), f.GetDeployment(), req.GetCursor()}
	if req.GetSince() != nil {
		key = append(key, req.GetSince().AsTime().String())
	}
	return strings.Join(key, "|")
}
