package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db/pgtest"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// answerOf calls a REST path and returns status and reason, and how long the answer took.
func answerOf(t *testing.T, s *process.Server, path, body string) (status int, reason string, took time.Duration) {
	t.Helper()
	began := time.Now()
	a, err := s.Post(t.Context(), path, body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Details []struct {
			Reason string `json:"reason"`
		} `json:"details"`
	}
	_ = json.Unmarshal(a.Body, &answer)
	for _, d := range answer.Details {
		if reason == "" {
			reason = d.Reason
		}
	}
	return a.Status, reason, time.Since(began)
}

const (
	rulesPath    = "/v1/moderation/rules"
	moderatePath = "/v1/moderation/texts:moderate"
)

// TestOnPostgres runs the product on a real Postgres: keys, deployments and decisions, over a restart of the product and a crash of the database.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	dir := filepath.Join(t.TempDir(), "data")
	keyFile := filepath.Join(t.TempDir(), "key")
	options := process.Options{
		DataDir: dir, KeyFile: keyFile, Args: []string{"--socket", "none", "--no-starter"}, Env: []string{"SWITCHYARD_DB_URL=" + server.TCP() + "?sslmode=disable"},
	}
	s := startWith(t, options)
	if _, _, err := s.Command(t.Context(), binary, "train", "--operation", "routing", "--deployment", "desk", "--input", file(t, "tickets.jsonl", tickets(600)), "--report", "-"); err != nil {
		t.Fatal(err)
	}
	key, _, err := s.Command(t.Context(), binary, "keys", "create", "shop", "--scope", "routing:decide")
	if err != nil {
		t.Fatalf("a key on Postgres: %v\n%s", err, key)
	}
	inquiry := object{"deployment": "desk", "body": "my printer and the cable do not work"}
	before := asObject(post(t, s, routePath, inquiry)["decision"])
	stop(t, s)
	if files, _ := filepath.Glob(filepath.Join(dir, "*.db*")); len(files) != 0 {
		t.Errorf("a SQLite file was made: %v", files)
	}

	s = startWith(t, options)
	after := asObject(post(t, s, routePath, inquiry)["decision"])
	if fmt.Sprint(before["labels"], before["model"]) != fmt.Sprint(after["labels"], after["model"]) {
		t.Errorf("the same inquiry is answered differently after a restart:\n%v\n%v", before, after)
	}

	server.Kill()
	status, reason, took := answerOf(t, s, rulesPath, `{"kind":"RULE_KIND_DENY","pattern":"viagra"}`)
	if status != http.StatusServiceUnavailable || reason != "DEPENDENCY_UNAVAILABLE" || took > 2*time.Second {
		t.Errorf("a write without the database: HTTP %d %s after %v", status, reason, took)
	}
	if status, reason, _ := answerOf(t, s, routePath, `{"deployment":"desk","body":"my printer"}`); status != http.StatusOK {
		t.Errorf("a decision needs no database, but answers HTTP %d %s", status, reason)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	eventually(t, "writes work after the database is back", 20*time.Second, func() bool {
		status, reason, _ := answerOf(t, s, rulesPath, `{"kind":"RULE_KIND_DENY","pattern":"viagra"}`)
		return status == http.StatusOK || reason == "ALREADY_EXISTS"
	})
	t.Logf("writes again %v after the database is", time.Since(back).Round(time.Millisecond))
	get(t, s, "/v1/models/desk/versions")
	stop(t, s)
	if strings.Contains(s.Stderr(), pgtest.Password) || strings.Contains(s.Stderr(), "s3cret") {
		t.Error("the log holds the database's password")
	}
}

// TestTwoProcessesShareAPostgres runs two whole servers on one database: what is changed in one applies in the other.
func TestTwoProcessesShareAPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	run := func(name string) *process.Server {
		return startWith(t, process.Options{
			DataDir: filepath.Join(t.TempDir(), name), KeyFile: keyFile, Args: []string{"--socket", "none", "--no-starter"},
			Env: []string{"SWITCHYARD_DB_URL=" + server.URL()},
		})
	}
	here := run("here")
	there := run("there")
	text := `{"deployment":"comments","text":"lovely V1AGRA here"}`
	post(t, here, "/v1/deployments:deploy", object{"operation": "OPERATION_MODERATION", "deployment": "comments"})
	eventually(t, "the other process answers with the deployment", 20*time.Second, func() bool {
		status, _, _ := answerOf(t, there, moderatePath, text)
		return status == http.StatusOK
	})
	post(t, here, rulesPath, object{"kind": "RULE_KIND_DENY", "pattern": "viagra"})
	eventually(t, "the other process applies the rule", 20*time.Second, func() bool {
		a, err := there.Post(t.Context(), moderatePath, text)
		return err == nil && strings.Contains(string(a.Body), "ACTION_REMOVE")
	})
}
