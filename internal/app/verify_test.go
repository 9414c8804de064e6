package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// routed asks n times; about half of the inquiries are left to people.
func routed(t *testing.T, conn grpc.ClientConnInterface, n int) {
	t.Helper()
	client := routingv1.NewRoutingServiceClient(conn)
	for i := range n {
		body := []string{"my laptop screen stays black", "hello there"}[i%2]
		if _, err := client.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: fmt.Sprint(body, " ", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// judged waits for an item and gives a verdict about it.
func judged(t *testing.T, conn grpc.ClientConnInterface) {
	t.Helper()
	client := reviewv1.NewReviewServiceClient(conn)
	r, err := client.LeaseItems(t.Context(), &reviewv1.LeaseItemsRequest{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Reviewer: "ann", MaxItems: 1, Wait: durationpb.New(20 * time.Second),
	})
	if err != nil || len(r.GetItems()) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	it := r.GetItems()[0]
	_, err = client.SubmitVerdict(t.Context(), &reviewv1.SubmitVerdictRequest{
		ItemId: it.GetItemId(), Reviewer: "ann", LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{"hardware"}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lived is the data folder of a product that decided, was judged, changed its deployments and was stopped.
func lived(t *testing.T) app.Config {
	t.Helper()
	var config app.Config
	s := testkit.Start(t, func(c *app.Config) { c.Lake.Flush = 100 * time.Millisecond; config = *c })
	conn := s.Dial(s.Key)
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	testkit.Deploy(t, conn, "support", testkit.SupportAnew, true)
	_, err := modelsv1.NewModelServiceClient(conn).Rollback(t.Context(), &modelsv1.RollbackRequest{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Reason: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = reviewv1.NewReviewServiceClient(conn).UpdateQueue(t.Context(), &reviewv1.UpdateQueueRequest{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	routed(t, conn, 40)
	judged(t, conn)
	time.Sleep(300 * time.Millisecond) // part of it reaches the lake, part does not: both are fine
	s.Stop()
	config.DB = db.Default("")
	config.Fill()
	if _, err := os.Stat(config.DB.Path); err != nil {
		t.Skip("the tables are not in the folder")
	}
	return config
}

func problemsOf(t *testing.T, c app.Config) string {
	t.Helper()
	r, err := app.VerifyLedger(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range r.Problems {
		all = append(all, p.Error())
	}
	return strings.Join(all, "\n")
}

// copyOf returns the configuration of a copy of a data folder.
func copyOf(t *testing.T, c app.Config) app.Config {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(c.DataDir)); err != nil {
		t.Fatal(err)
	}
	c.DataDir, c.DB.Path, c.GRPC.Socket = dir, filepath.Join(dir, "switchyard.db"), ""
	return c
}

func TestWhatIsMissingOrAlteredInTheTablesIsNamed(t *testing.T) {
	t.Parallel()
	c := lived(t)
	if found := problemsOf(t, copyOf(t, c)); found != "" {
		t.Fatalf("a product that was stopped in order has problems:\n%s", found)
	}
	for sql, want := range map[string]string{
		`DELETE FROM review_items WHERE id = (SELECT min(id) FROM review_items WHERE verdict = '')`:                                      "is for people and is no item",
		`UPDATE review_items SET id = '019ab4f0-0000-7000-8000-000000000000' WHERE id = (SELECT min(id) FROM review_items)`:              "019ab4f0-0000-7000-8000-000000000000 has no decision",
		`DELETE FROM review_records WHERE id = (SELECT min(id) FROM review_records)`:                                                     "has no record",
		`UPDATE review_verdicts SET item = 'nothing'`:                                                                                    "has no item",
		`UPDATE review_verdicts SET message = x'ff'`:                                                                                     "table review_verdicts",
		`UPDATE deployment_ledger SET reason = 'other' WHERE seq = 3`:                                                                    "was changed after it was written",
		`DELETE FROM deployment_ledger WHERE seq = 2`:                                                                                    "are missing",
		`UPDATE deployments SET revision = 9`:                                                                                            "is at revision 9",
		`INSERT INTO outbox (seq, subject, id, header, data, written) VALUES (999999, 'switchyard.default.x', 'far', '{}', x'', 0)`:      "is beyond the counter",
		`INSERT INTO outbox (seq, subject, id, header, data, written) VALUES (1, 'switchyard.default.x', 'broken', 'no header', x'', 0)`: "broken, cannot be read",
		`UPDATE versions SET message = (SELECT message FROM versions WHERE version = 1)`:                                                 "cannot be read",
		`INSERT INTO review_items SELECT 'nowhere', id, operation, deployment, state, kind, lane, rank, due, since, decided, created, priority, harm, uncertainty, label, locale,
			content, skills, seen, sha, second, role, round, not_sure, escalated, lease, lease_key, person, lease_from, lease_until, undo_until, '', verdict_label, gold, closed
			FROM review_items LIMIT 1`: "item nowhere/",
	} {
		broken := copyOf(t, c)
		d, err := db.Open(t.Context(), broken.DB)
		if err != nil {
			t.Fatal(err)
		}
		err = d.Tx(t.Context(), func(tx *db.Tx) error {
			n, err := tx.Exec(sql)
			if err == nil && n == 0 {
				err = fmt.Errorf("no row")
			}
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if found := problemsOf(t, broken); !strings.Contains(found, want) {
			t.Errorf("%s\nfound %q, want %q", sql, found, want)
		}
	}
	file := copyOf(t, c)
	artifacts, err := filepath.Glob(filepath.Join(file.DataDir, "artifacts", "sha256", "*", "*"))
	if err != nil || len(artifacts) == 0 {
		artifacts, _ = filepath.Glob(filepath.Join(file.DataDir, "artifacts", "sha256", "*"))
	}
	data, err := os.ReadFile(artifacts[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.Chmod(artifacts[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(artifacts[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	if found := problemsOf(t, file); !strings.Contains(found, "artifacts: sha256:") {
		t.Errorf("a flipped bit in a model file: %q", found)
	}
}

// TestARunningProductVerifiesItselfWithoutFalseAlarms verifies again and again while decisions and verdicts come.
func TestARunningProductVerifiesItselfWithoutFalseAlarms(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t, func(c *app.Config) {
		c.Lake.Flush, c.Verify.Every, c.Verify.Share = 100*time.Millisecond, time.Second, 1
	})
	conn := s.Dial(s.Key)
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			routed(t, conn, 10)
			judged(t, conn)
		}
	})
	defer wg.Wait()
	defer cancel()
	rounds := map[string]bool{}
	for deadline := time.Now().Add(60 * time.Second); len(rounds) < 4; time.Sleep(50 * time.Millisecond) {
		text := readiness(t, s)
		if strings.Contains(text, "problems at") || strings.Contains(text, "failed") {
			data, _ := os.ReadFile(filepath.Join(s.DataDir(), "verify.json"))
			t.Fatalf("%s\n%s", text, data)
		}
		if strings.Contains(text, "verified (all)") {
			rounds[text] = true
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute it says %q", text)
		}
	}
}

func readiness(t *testing.T, s *testkit.System) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addresses.HTTP+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
