package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// cutResults takes the results of the only job that are not counted yet off their file, as a power cut would, and returns how many bytes they were.
func cutResults(t *testing.T, dir string) int64 {
	t.Helper()
	d, err := db.Open(t.Context(), db.Default(filepath.Join(dir, "switchyard.db")))
	if err != nil {
		t.Fatal(err)
	}
	var uuid string
	var at int64
	err = d.View(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Get(`SELECT uuid, result_at FROM jobs WHERE ended = 0`, nil, &uuid, &at)
		return err
	})
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "jobs", uuid, "results")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, at); err != nil {
		t.Fatal(err)
	}
	return info.Size() - at
}

// TestResultsAfterAKillAreWhatIsRecorded kills the server between records and results of a job, lets another version answer before the job goes on, and compares every result with its record.
func TestResultsAfterAKillAreWhatIsRecorded(t *testing.T) {
	t.Parallel()
	const items = 30_000
	dir := filepath.Join(t.TempDir(), "data")
	s := startIn(t, dir)
	conn := dial(t, s, s.Key)
	testkit.Register(t, conn, "support", testkit.Support, true)
	testkit.Register(t, conn, "support", testkit.SupportAnew, true)
	deploy := func(version int32) {
		t.Helper()
		_, err := modelsv1.NewModelServiceClient(conn).Deploy(t.Context(), &modelsv1.DeployRequest{Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Model: "support", Version: version})
		if err != nil {
			t.Fatal(err)
		}
	}
	deploy(1)
	var lines strings.Builder
	for i := range items {
		fmt.Fprintf(&lines, `{"body":"my invoice %d shows a refund, the login is locked","inquiryId":"%d"}`+"\n", i, i)
	}
	client := jobsv1.NewJobServiceClient(conn)
	submitJob(t, client, &jobsv1.JobSpec{JobId: "all", Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support"}, lines.String())
	eventually(t, "the job is under way", time.Minute, func() bool {
		got, err := client.GetJob(t.Context(), &jobsv1.GetJobRequest{JobId: "all"})
		return err == nil && got.GetJob().GetDecided() > 2000
	})
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	cut := cutResults(t, dir)
	s = startIn(t, dir, "--target", "models,identity,training")
	conn = dial(t, s, s.Key)
	deploy(2)
	stop(t, s)
	began := time.Now()
	s = startIn(t, dir)
	conn = dial(t, s, s.Key)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stream, err := jobsv1.NewJobServiceClient(conn).StreamResults(ctx, &jobsv1.StreamResultsRequest{JobId: "all"})
	if err != nil {
		t.Fatal(err)
	}
	var results []*commonv1.Decision
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range m.GetResults() {
			results = append(results, r.GetRouting().GetDecision())
		}
	}
	if len(results) != items {
		t.Fatalf("there are %d results", len(results))
	}
	stop(t, s)
	records := map[string]*commonv1.Decision{}
	eachInStream(t, dir, false, func(id string, data []byte) {
		r := &commonv1.DecisionRecord{}
		if err := proto.Unmarshal(data, r); err != nil {
			t.Fatal(err)
		}
		if records[id] != nil {
			t.Errorf("%s is recorded twice", id)
		}
		records[id] = r.GetDecision()
	})
	old, differ := 0, 0
	for i, d := range results {
		want := int32(2)
		if d.GetTime().AsTime().Before(began) {
			old++
			want = 1
		}
		if d.GetModel().GetVersion() != want {
			t.Errorf("item %d was decided at %v by version %d", i, d.GetTime().AsTime(), d.GetModel().GetVersion())
		}
		if !proto.Equal(records[d.GetDecisionId()], d) {
			if differ++; differ < 5 {
				t.Errorf("item %d is recorded as\n%v\nand has the result\n%v", i, records[d.GetDecisionId()], d)
			}
		}
	}
	t.Logf("%d bytes of results were lost; %d results are of before, %d of %d differ from their record", cut, old, differ, len(results))
	if cut == 0 || old == 0 {
		t.Error("no result was lost: this proves nothing")
	}
}
