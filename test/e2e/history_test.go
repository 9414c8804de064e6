package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheHistoryShowsAliasesAndTags moves an alias and changes tags with the commands that people use: the history says who, from what, to what and why, and the ledger holds.
func TestTheHistoryShowsAliasesAndTags(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := startIn(t, dir)
	run := func(args ...string) string {
		t.Helper()
		out, stderr, err := s.Command(t.Context(), binary, args...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, stderr)
		}
		return string(out)
	}
	model := strings.Fields(strings.Split(run("deployments", "list"), "\n")[1])[2] // of a starter model, which the first deployment answers with
	run("models", "alias", model, "candidate", "1", "--reason", "best so far")
	run("models", "tag", model, "1", "data=march", "--notes", "trained after the move", "--reason", "for the audit")
	run("models", "tag", model, "candidate", "data=april", "--reason", "the file was April's")
	run("models", "alias", model, "candidate", "--delete")
	history := run("models", "history")
	for _, want := range []string{`tags: data=april, was "march"`, "tags: data=march; notes", `"the file was April's"`, "alias, new", "alias, was version 1", `"best so far"`, model + "@candidate", model + "@1"} {
		if !strings.Contains(history, want) {
			t.Errorf("the history does not say %q:\n%s", want, history)
		}
	}
	operation, _, _ := strings.Cut(strings.Fields(strings.Split(run("deployments", "list"), "\n")[1])[0], "/")
	if one := run("models", "history", operation+"/"+model+"@1"); strings.Count(one, "tags:") != 2 || strings.Contains(one, "alias") {
		t.Errorf("the history of one version's tags:\n%s", one)
	}
	stop(t, s)
	if out, err := exec.CommandContext(t.Context(), binary, "ledger", "verify", "--data-dir", dir).CombinedOutput(); err != nil {
		t.Errorf("the ledger: %v\n%s", err, out)
	}
}

// TestATrialIsResumedFromTheCommandLine ends a trial and takes it up again.
func TestATrialIsResumedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	s := start(t, "--no-starter")
	run := func(args ...string) (string, error) {
		t.Helper()
		out, stderr, err := s.Command(t.Context(), binary, args...)
		return string(out) + string(stderr), err
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	train := []string{"train", "--operation", "routing", "--deployment", "desk", "--report", "-", "--input"}
	must(append(train, file(t, "tickets.jsonl", tickets(600)))...)
	must(append(train, file(t, "more.jsonl", tickets(900)), "--no-deploy")...)
	if out, err := run("deployments", "resume", "routing/desk", "2", "--reason", "x"); err == nil || !strings.Contains(out, "ended trial of desk version 2") {
		t.Errorf("resumed what was never on trial: %v\n%s", err, out)
	}
	must("deployments", "try", "routing/desk", "2", "--share", "10", "--skip-shadow", "a test")
	must("deployments", "stop", "routing/desk", "2", "--reason", "the night is quiet")
	if out := must("deployments", "show", "routing/desk"); !strings.Contains(out, "trial ended") || !strings.Contains(out, "the night is quiet") {
		t.Errorf("the trial that ended is not shown:\n%s", out)
	}
	if out := must("deployments", "resume", "routing/desk", "2", "--reason", "it is day"); !strings.Contains(out, "desk version 2, answers 10 %, resumed ") || !strings.Contains(out, "after: the night is quiet") || strings.Contains(out, "trial ended") {
		t.Errorf("resumed:\n%s", out)
	}
	if out := must("deployments", "history", "routing/desk"); !strings.Contains(out, "resume") || !strings.Contains(out, "it is day") || !strings.Contains(out, "desk version 2 (trial)") {
		t.Errorf("the history:\n%s", out)
	}
}
