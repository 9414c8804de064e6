package console

import (
	"context"
	"net/http"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// shift is what the reviewer did since signing in.
type shift struct {
	Verdicts, NotSure, Leased int64
	Mean                      string // time spent on an answer
}

type queuesPage struct {
	Queues []*reviewv1.Queue
	Shift  shift
}

func (c *Console) queues(w http.ResponseWriter, r *http.Request, s *session) error {
	queues, err := c.allQueues(r.Context())
	if err != nil {
		return err
	}
	done, err := c.shift(r.Context(), s)
	if err != nil {
		return err
	}
	c.render(w, http.StatusOK, "queues.html", frame{Title: "Queues", Session: s, Page: queuesPage{Queues: queues, Shift: done}})
	return nil
}

// allQueues returns the queues of the project; there are as many as it has deployments.
func (c *Console) allQueues(ctx context.Context) ([]*reviewv1.Queue, error) {
	res, err := c.review.ListQueues(ctx, &reviewv1.ListQueuesRequest{Page: &commonv1.PageRequest{Size: 500}})
	return res.GetQueues(), err
}

func (c *Console) shift(ctx context.Context, s *session) (shift, error) {
	res, err := c.review.ListReviewers(ctx, &reviewv1.ListReviewersRequest{Since: timestamppb.New(s.Start()), Reviewer: s.Reviewer})
	if err != nil {
		return shift{}, err
	}
	var done shift
	for _, rev := range res.GetReviewers() {
		done.Verdicts, done.NotSure, done.Leased = rev.GetVerdicts(), rev.GetNotSure(), rev.GetLeased()
		if n := rev.GetVerdicts(); n > 0 {
			done.Mean = seconds(rev.GetTimeSpent().AsDuration().Seconds() / float64(n))
		}
	}
	return done, nil
}
