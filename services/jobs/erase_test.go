package jobs_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
)

// fileNames returns the names of all files below a folder.
func fileNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, d.Name())
		}
		return err
	}))
	return names
}

// TestErasedItemsLeaveTheOthersInTheirPlaces erases a person from jobs whose items are all alike, which compress so well that taking one out saves nothing.
func TestErasedItemsLeaveTheOthersInTheirPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := begin(t, func(c *app.Config) { c.DataDir = dir })
	const items = 1500
	specs := map[string]*jobsv1.JobSpec{
		"customerId": {Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support"},
		"authorId":   {Operation: commonv1.Operation_OPERATION_MODERATION, Deployment: "comments"},
		"subjectId":  {Operation: commonv1.Operation_OPERATION_CLASSIFICATION, Deployment: "topics"},
	}
	for field, spec := range specs {
		text := map[string]string{"customerId": "body", "authorId": "text", "subjectId": "text"}[field]
		id := map[string]string{"customerId": "inquiryId", "authorId": "contentId", "subjectId": "contentId"}[field]
		var lines strings.Builder
		for i := range items {
			fmt.Fprintf(&lines, `{"%s":"my laptop screen stays black","%s":"person-%d","%s":"of person-%d"}`+"\n", text, field, i%3, id, i%3)
		}
		for _, paused := range []bool{false, true} {
			s := &jobsv1.JobSpec{JobId: fmt.Sprint(field, paused), Operation: spec.GetOperation(), Deployment: spec.GetDeployment(), Paused: paused}
			p.mustSubmit(s, lines.String())
			if !paused {
				p.waitFor(s.GetJobId(), jobsv1.JobState_JOB_STATE_DONE)
			}
		}
	}
	r, err := decisionsv1.NewDecisionServiceClient(p.system.Dial(p.system.Key)).EraseSubject(t.Context(), &decisionsv1.EraseSubjectRequest{SubjectId: "person-1"})
	must(t, err)
	erased := int64(0)
	for _, place := range r.GetPlaces() {
		if place.GetPlace() == "jobs" {
			erased = place.GetRecords()
		}
	}
	if erased != 6*items/3 {
		t.Errorf("%d items were erased, want %d", erased, 6*items/3)
	}
	for _, name := range fileNames(t, filepath.Join(dir, "jobs")) {
		if name != "items.1" && name != "results.1" {
			t.Errorf("%s is left of what was written anew", name)
		}
	}
	for field := range specs {
		done := p.results(&jobsv1.StreamResultsRequest{JobId: field + "false"})
		_, err := p.ResumeJob(t.Context(), &jobsv1.ResumeJobRequest{JobId: field + "true"})
		must(t, err)
		p.waitFor(field+"true", jobsv1.JobState_JOB_STATE_DONE)
		waited := p.results(&jobsv1.StreamResultsRequest{JobId: field + "true"})
		if len(done) != items || len(waited) != items {
			t.Fatalf("%s: %d and %d results, want %d", field, len(done), len(waited), items)
		}
		for i := range items {
			gone := i%3 == 1
			if decided(done[i]) == nil || (done[i].GetContentId() == "") != gone {
				t.Errorf("%s: result %d of the job that was done is %v", field, i, done[i])
			}
			if (decided(waited[i]) == nil) != gone || (waited[i].GetContentId() == "") != gone {
				t.Errorf("%s: result %d of the job that waited is %v", field, i, waited[i])
			}
		}
	}
}

func decided(r *jobsv1.JobResult) *commonv1.Decision {
	for _, d := range []*commonv1.Decision{r.GetRouting().GetDecision(), r.GetModeration().GetDecision(), r.GetClassification().GetDecision()} {
		if d != nil {
			return d
		}
	}
	return nil
}

func TestATaskIsAPersonsByItsHeaderOrByAWholeWord(t *testing.T) {
	t.Parallel()
	q := open(t, false)
	for id, task := range map[string]*jobsv1.PublishTaskRequest{
		"json":         {Body: []byte(`{"customer":"ann","text":"x"}`)},
		"php":          {Body: []byte(`O:4:"Mail":1:{s:2:"to";s:3:"ann";}`)},
		"header":       {Body: []byte("opaque"), Headers: map[string]string{"subject-id": "ann"}},
		"other header": {Body: []byte("x"), Headers: map[string]string{"who": "for ann only"}},
		"another":      {Body: []byte(`{"customer":"anna"}`)},
		"part":         {Body: []byte(`{"customer":"joe-ann","mail":"ann@example.org"}`)},
		"said so":      {Body: []byte(`{"about":"ann"}`), Headers: map[string]string{"subject-id": "bob"}},
	} {
		task.Queue, task.TaskId = "work", id
		_, err := q.PublishTask(q.ctx, task)
		must(t, err)
	}
	n, err := q.Erase(t.Context(), "acme", "ann")
	must(t, err)
	if n != 4 {
		t.Errorf("%d tasks were erased, want 4", n)
	}
	if n, err := q.Erase(t.Context(), "umbrella", "bob"); n != 0 || err != nil {
		t.Errorf("another project's: %d, %v", n, err)
	}
	q.wantCounts("after the erasure", [4]int64{3, 0, 0, 4})
	for _, task := range q.pull(10) {
		if !slices.Contains([]string{"another", "part", "said so"}, task.GetTaskId()) {
			t.Errorf("%s is still delivered", task.GetTaskId())
		}
	}
}
