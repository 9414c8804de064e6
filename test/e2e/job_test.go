package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
)

func submitJob(t *testing.T, client jobsv1.JobServiceClient, spec *jobsv1.JobSpec, lines string) *jobsv1.Job {
	t.Helper()
	stream, err := client.SubmitBatch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Spec{Spec: spec}})
	for len(lines) > 0 {
		n := min(len(lines), 1<<20)
		_ = stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Lines{Lines: []byte(lines[:n])}})
		lines = lines[n:]
	}
	r, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	return r.GetJob()
}

// TestKillDecidesNoItemTwice kills the server again and again while a job runs. In the end every item has one result, and the event stream holds the decisions of
// the results and no others.
func TestKillDecidesNoItemTwice(t *testing.T) {
	t.Parallel()
	const items = 20_000
	kills := 8
	if testing.Short() {
		kills = 3
	}
	dir := filepath.Join(t.TempDir(), "data")
	s := startIn(t, dir)
	client := jobsv1.NewJobServiceClient(dial(t, s, s.Key))
	var lines strings.Builder
	for i := range items {
		fmt.Fprintf(&lines, `{"body":"my printer number %d does not work","inquiryId":"%d"}`+"\n", i, i)
	}
	spec := &jobsv1.JobSpec{JobId: "all", Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support"}
	submitJob(t, client, spec, lines.String())
	met := 0
	for range kills {
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		got, err := client.GetJob(t.Context(), &jobsv1.GetJobRequest{JobId: "all"})
		if err != nil {
			t.Fatal(err)
		}
		if got.GetJob().GetState() == jobsv1.JobState_JOB_STATE_RUNNING {
			met++
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		s = startIn(t, dir)
		client = jobsv1.NewJobServiceClient(dial(t, s, s.Key))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stream, err := client.StreamResults(ctx, &jobsv1.StreamResultsRequest{JobId: "all"})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	next := int64(0)
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range m.GetResults() {
			if r.GetIndex() != next || r.GetContentId() != fmt.Sprint(next) || r.GetRouting().GetDecision() == nil {
				t.Fatalf("result %d is %v", next, r)
			}
			next++
			ids[r.GetRouting().GetDecision().GetDecisionId()] = true
		}
	}
	got, err := client.GetJob(t.Context(), &jobsv1.GetJobRequest{JobId: "all"})
	if err != nil || got.GetJob().GetState() != jobsv1.JobState_JOB_STATE_DONE || got.GetJob().GetDecided() != items || got.GetJob().GetFailed() != 0 {
		t.Errorf("the job is %v (%v)", got.GetJob(), err)
	}
	stop(t, s)
	streamed := inStream(t, dir)
	missing, foreign, twice := 0, 0, 0
	for id := range ids {
		if streamed[id] == 0 {
			missing++
		}
	}
	for id, n := range streamed {
		if !ids[id] {
			foreign++
		}
		if n > 1 {
			twice++
		}
	}
	t.Logf("%d kills, %d of them in the middle; %d results, %d decisions; %d not in the stream, %d in it that no result has, %d in it twice", kills, met, next, len(ids), missing, foreign, twice)
	if next != items || len(ids) != items || missing > 0 || foreign > 0 || twice > 0 {
		t.Fail()
	}
}
