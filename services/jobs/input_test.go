package jobs_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
)

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func TestAJobReadsItsItemsFromStorage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := begin(t, func(c *app.Config) {
		c.Jobs.Batches.InputURL, c.Jobs.Batches.MaxInputBytes = dir, 4<<20
	})
	const items = 3000
	text := strings.ReplaceAll(inquiries(items), "does not print", strings.Repeat("does not print ", 50)) // more than two pieces
	whole := packed(t, text)
	for name, data := range map[string][]byte{
		"default/night/mails.jsonl": []byte(text), "default/mails.jsonl.gz": whole, "default/cut.jsonl.gz": whole[:len(whole)/2], "default/no.jsonl.gz": []byte("no gzip"),
		"default/empty.jsonl": nil, "default/huge.jsonl": bytes.Repeat([]byte("x"), 5<<20), "default/bomb.jsonl.gz": packed(t, strings.Repeat("\n", 64<<20)), "other/secret.jsonl": []byte(text),
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, data, 0o600))
	}
	submit := func(id, input string, lines ...string) (*jobsv1.Job, error) {
		spec := routingSpec(id)
		spec.Input, spec.Paused = input, true
		return p.submit(spec, lines...)
	}
	for id, input := range map[string]string{"plain": "night/mails.jsonl", "packed": "mails.jsonl.gz"} {
		j, err := submit(id, input)
		must(t, err)
		if j.GetItems() != items {
			t.Errorf("%s: %d items", input, j.GetItems())
		}
		// What was read is the job's: it is the same as if the lines had been sent, and the file is not needed any more.
		spec := routingSpec(id)
		spec.Paused = true
		if again, err := p.submit(spec, text); err != nil || again.GetJobId() != id {
			t.Errorf("the same lines sent: %v, %v", again, err)
		}
	}
	for name, c := range map[string]struct{ input, reason string }{
		"not there":        {"night/none.jsonl", "NOT_FOUND"},
		"a folder":         {"night", "NOT_FOUND"},
		"another project":  {"../other/secret.jsonl", "INVALID_ARGUMENT"},
		"from the root":    {"/other/secret.jsonl", "INVALID_ARGUMENT"},
		"dots inside":      {"night/../../other/secret.jsonl", "INVALID_ARGUMENT"},
		"backslashes":      {`..\billing\secret.jsonl`, "INVALID_ARGUMENT"},
		"no items":         {"empty.jsonl", "INVALID_ARGUMENT"},
		"cut off":          {"cut.jsonl.gz", "INVALID_ARGUMENT"},
		"no gzip":          {"no.jsonl.gz", "INVALID_ARGUMENT"},
		"too large":        {"huge.jsonl", "REQUEST_TOO_LARGE"},
		"unpacks too much": {"bomb.jsonl.gz", "REQUEST_TOO_LARGE"},
		"a long name":      {strings.Repeat("a/", 300), "INVALID_ARGUMENT"},
	} {
		_, err := submit("bad", c.input)
		wantReason(t, name, err, c.reason)
	}
	_, err := submit("both", "night/mails.jsonl", text)
	wantReason(t, "a file and lines", err, "INVALID_ARGUMENT")
	must(t, os.RemoveAll(dir))
	_, err = p.ResumeJob(t.Context(), &jobsv1.ResumeJobRequest{JobId: "packed"})
	must(t, err)
	if j := p.waitFor("packed", jobsv1.JobState_JOB_STATE_DONE); j.GetDecided() != items {
		t.Errorf("done: %v", j)
	}
}

func TestWithoutStorageAJobsItemsMustBeSent(t *testing.T) {
	t.Parallel()
	p := begin(t)
	spec := routingSpec("x")
	spec.Input = "night/mails.jsonl"
	_, err := p.submit(spec)
	wantReason(t, "no storage", err, "INVALID_ARGUMENT")
}
