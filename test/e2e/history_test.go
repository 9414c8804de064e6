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
