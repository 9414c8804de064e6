package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// TestInterface is the interface that others script against: flags, files, commands, paths and field names.
func TestInterface(t *testing.T) {
	t.Parallel()
	// A socket's path may have about 100 characters, and test folders are long.
	dir, err := os.MkdirTemp("", "sy") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, keyFile := filepath.Join(dir, "s.sock"), filepath.Join(dir, "key")
	s := startWith(t, process.Options{DataDir: filepath.Join(dir, "data"), KeyFile: keyFile, Args: []string{
		"--grpc", "127.0.0.1:" + freePort(t), "--http", "127.0.0.1:" + freePort(t), "--socket", socket,
	}})
	if !strings.HasPrefix(s.Key, "syk_") {
		t.Fatalf("the key file holds %q, want a key syk_…", s.Key)
	}
	trainAll(t, s, "unix:"+socket)

	t.Run("decisions", func(t *testing.T) {
		for _, c := range []struct {
			path string
			body object
		}{
			{"/v1/moderation/texts:moderate", object{"deployment": "comments", "text": "You won a prize, call now!"}},
			{"/v1/routing/inquiries:route", object{"deployment": "support", "subject": "printer", "body": "my printer and the cable do not work"}},
			{"/v1/classification/texts:classify", object{"deployment": "desk", "text": "my password and login do not work"}},
			{"/v1/classification/records:classify", object{"deployment": "income", "record": object{"age": object{"number": 39}, "job": object{"text": "clerk"}}}},
		} {
			answer := post(t, s, c.path, c.body)
			checkDecision(t, c.path, answer["decision"])
		}
	})
	t.Run("batches", func(t *testing.T) {
		for path, bodies := range map[string]object{
			"/v1/moderation/texts:batchModerate":       {"deployment": "comments", "items": []object{{"text": "hello there"}, {"text": ""}}},
			"/v1/routing/inquiries:batchRoute":         {"deployment": "support", "items": []object{{"body": "my screen is dark"}, {"body": ""}}},
			"/v1/classification/texts:batchClassify":   {"deployment": "desk", "items": []object{{"text": "my invoice is wrong"}, {"text": ""}}},
			"/v1/classification/records:batchClassify": {"deployment": "income", "items": []object{{"record": object{"age": object{"number": 39}, "job": object{"text": "clerk"}}}, {"record": object{}}}},
		} {
			results, _ := post(t, s, path, bodies)["results"].([]any)
			if len(results) != 2 {
				t.Errorf("%s: %d results, want 2", path, len(results))
				continue
			}
			first, second := asObject(results[0]), asObject(results[1])
			checkDecision(t, path, first["decision"])
			if asObject(second["error"])["reason"] == nil {
				t.Errorf("%s: the empty item has no error with a reason: %v", path, second)
			}
		}
	})
	t.Run("versions", func(t *testing.T) {
		versions, _ := get(t, s, "/v1/models/support/versions")["versions"].([]any)
		if len(versions) != 1 || asObject(versions[0])["version"] != 1.0 {
			t.Errorf("versions %v, want version 1", versions)
		}
	})
	t.Run("pages", func(t *testing.T) {
		for _, path := range []string{"/openapi.json", "/docs", "/healthz", "/readyz", "/metrics"} {
			if a, err := s.Get(t.Context(), path); err != nil || a.Status != 200 || len(a.Body) == 0 {
				t.Errorf("GET %s: %v, status %d, %d bytes", path, err, a.Status, len(a.Body))
			}
		}
	})
	t.Run("command line", func(t *testing.T) { commandLine(t, s, socket) })
}

// trainAll trains three deployments through the command line, each with another way of naming server and key.
func trainAll(t *testing.T, s *process.Server, address string) {
	t.Helper()
	var people strings.Builder
	for i := range 600 {
		age, job, label := 20+i%50, []string{"clerk", "farmer", "pilot"}[i%3], "low"
		if age > 45 || job == "pilot" {
			label = "high"
		}
		fmt.Fprintf(&people, `{"record":{"age":%d,"job":%q},"label":%q}`+"\n", age, job, label)
	}
	texts, held := file(t, "tickets.jsonl", tickets(900)), file(t, "held-out.jsonl", tickets(90))
	for _, c := range []struct {
		operation, deployment, input string
		args, env                    []string
	}{
		{"routing", "support", texts, []string{"--server", address, "--key-file", s.KeyFile, "--test", held}, nil},
		{"classification", "desk", texts, []string{"--server", s.GRPC}, []string{"SWITCHYARD_KEY=" + s.Key}},
		{"classification", "income", file(t, "people.jsonl", []byte(people.String())), []string{"--key-file", s.KeyFile}, []string{"SWITCHYARD_SERVER=" + address}},
	} {
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"train", "--operation", c.operation, "--deployment", c.deployment, "--input", c.input, "--json"}, c.args...)...)
		cmd.Dir = t.TempDir() // the HTML report goes there
		cmd.Env = append(os.Environ(), c.env...)
		var out, progress bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &progress
		if err := cmd.Run(); err != nil {
			t.Fatalf("train %s: %v\n%s", c.deployment, err, progress.Bytes())
		}
		var evaluation object
		if err := json.Unmarshal(out.Bytes(), &evaluation); err != nil {
			t.Fatalf("train --json printed no single JSON object: %v\n%s", err, out.Bytes())
		}
		if a, _ := evaluation["accuracy"].(float64); a < 0.9 {
			t.Errorf("train %s: accuracy %v, want at least 0.9 on data this easy", c.deployment, evaluation["accuracy"])
		}
		if progress.Len() == 0 {
			t.Error("train shows no progress on standard error")
		}
		if found, _ := filepath.Glob(filepath.Join(cmd.Dir, "*.html")); len(found) != 1 {
			t.Errorf("train wrote the reports %v, want one", found)
		}
	}
}

func asObject(v any) object {
	m, _ := v.(map[string]any)
	return m
}

// checkDecision checks the fields that every decision holds.
func checkDecision(t *testing.T, path string, v any) {
	t.Helper()
	d := asObject(v)
	if id, _ := d["decisionId"].(string); len(id) != 36 {
		t.Errorf("%s: decisionId %v, want a UUID", path, d["decisionId"])
	}
	if o := d["outcome"]; o != "OUTCOME_AUTOMATED" && o != "OUTCOME_REVIEW" {
		t.Errorf("%s: outcome %v", path, o)
	}
	if r, _ := d["reason"].(string); r == "" {
		t.Errorf("%s: no reason", path)
	}
	labels, _ := d["labels"].([]any)
	var probabilities []float64
	for _, l := range labels {
		p, _ := asObject(l)["probability"].(float64)
		probabilities = append(probabilities, -p)
		if name, _ := asObject(l)["label"].(string); name == "" || p < 0 || p > 1 {
			t.Errorf("%s: label %v", path, l)
		}
	}
	if len(labels) < 2 || !slices.IsSorted(probabilities) {
		t.Errorf("%s: labels %v, want some, sorted by probability", path, labels)
	}
	model := asObject(d["model"])
	digest, _ := model["digest"].(string)
	if model["name"] == "" || model["version"] == nil || !strings.HasPrefix(digest, "sha256:") {
		t.Errorf("%s: model %v", path, model)
	}
}

// explainIt explains the newest decision, for people and as JSON.
func explainIt(t *testing.T, s *process.Server, socket string, routed []byte) {
	t.Helper()
	var answer struct {
		Decision struct{ DecisionID string }
	}
	if err := json.Unmarshal(routed, &answer); err != nil || answer.Decision.DecisionID == "" {
		t.Fatalf("%v: %s", err, routed)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "my printer does not work"},
		{[]string{"--json"}, `"decisionId": "` + answer.Decision.DecisionID + `"`},
	} {
		args := append([]string{"explain", answer.Decision.DecisionID, "--server", "unix:" + socket, "--key-file", s.KeyFile}, c.args...)
		out, err := exec.CommandContext(t.Context(), binary, args...).Output()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v, prints %s", args, err, out)
		}
	}
}

// commandLine asks through the client commands, from argument, file and standard input.
func commandLine(t *testing.T, s *process.Server, socket string) {
	for _, c := range []struct {
		args  []string
		stdin string
	}{
		{[]string{"route", "--deployment", "support", "my printer does not work"}, ""},
		{[]string{"moderate", "--deployment", "comments", "hello there"}, ""},
		{[]string{"classify", "--deployment", "desk"}, "my invoice is wrong\n"},
		{[]string{"keys", "list"}, ""},
	} {
		cmd := exec.CommandContext(t.Context(), binary, append(c.args, "--json", "--server", "unix:"+socket, "--key-file", s.KeyFile)...)
		cmd.Stdin = strings.NewReader(c.stdin)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil || !json.Valid(bytes.TrimSpace(out)) {
			t.Errorf("%v: %v, prints %s\n%s", c.args, err, out, errs.Bytes())
		}
		if c.args[0] == "route" {
			explainIt(t, s, socket, out)
		}
	}
}
