// Package archtest holds the import rules of the house as a test. Run it with -count=1: the test cache does not see what
// the child "go list" reads.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/switchyard-ai/switchyard/"

// rule forbids packages under from to import packages under any of to, but for those under except. The why is printed when it is broken.
type rule struct {
	from   string
	to     []string
	except []string
	why    string
}

var rules = []rule{
	{
		"services/",
		[]string{"internal/mesh", "gateway", "internal/app", "cmd/", "internal/bus"},
		nil,
		"a service knows its contract and its dependencies, not how it is reached: that is what lets it run in one process or in ten",
	},
	{
		"internal/engine",
		[]string{"gen/", "internal/", "services/", "gateway"},
		[]string{"internal/engine", "internal/fault", "internal/telemetry", "internal/testkit", "internal/dataset", "internal/chart", "internal/cores"},
		"the engine turns inputs into probabilities and knows nothing of projects, contracts or transports",
	},
	{
		"internal/journal",
		[]string{"gen/", "internal/", "services/", "gateway"},
		[]string{"internal/journal", "internal/fault", "internal/telemetry", "internal/testkit"},
		"the journal stores opaque records; what they mean is decided above it",
	},
	{
		"internal/bus",
		[]string{"gen/", "internal/", "services/", "gateway"},
		[]string{"internal/bus", "internal/fault", "internal/telemetry", "internal/testkit"},
		"the bus carries opaque messages; what they mean is decided above it",
	},
	{
		"internal/db",
		[]string{"gen/", "internal/", "services/", "gateway"},
		[]string{"internal/db", "internal/fault", "internal/telemetry", "internal/testkit"},
		"the database layer knows SQL engines, not tables: those belong to the services",
	},
	{
		"internal/cloudevent",
		[]string{"gen/", "internal/", "services/", "gateway"},
		[]string{"internal/cloudevent", "internal/bus"},
		"an event's attributes are the same whatever it tells",
	},
	{
		"internal/outbox",
		[]string{"gen/", "internal/", "services/", "gateway"},
		[]string{"internal/outbox", "internal/db", "internal/bus", "internal/cloudevent", "internal/fault", "internal/telemetry"},
		"the outbox carries opaque events from tables to the bus; what they mean is the services' business",
	},
	{
		"internal/inbox",
		[]string{"gen/", "internal/", "services/", "gateway"},
		[]string{"internal/inbox", "internal/db", "internal/fault", "internal/telemetry"},
		"the inbox remembers ids in a transaction; where they come from is its callers' business",
	},
	{
		"internal/config",
		[]string{"gen/", "internal/", "services/", "gateway"},
		[]string{"internal/config", "internal/fault", "internal/telemetry"},
		"settings belong to the packages that they configure; config only fills them in",
	},
	{
		"internal/mesh",
		[]string{"internal/", "services/", "gateway"},
		[]string{"internal/mesh", "internal/answer", "internal/auth", "internal/fault", "internal/telemetry", "internal/testkit"},
		"the mesh serves any service; it must not know one",
	},
	{
		"internal/serving",
		[]string{"internal/", "services/", "gateway"},
		[]string{"internal/serving", "internal/engine", "internal/blob", "internal/lake", "internal/cores", "internal/fault", "internal/telemetry", "internal/auth", "internal/testkit"},
		"serving learns what is live over the contract of models, never from its tables",
	},
	{
		"gateway",
		[]string{"services/", "internal/"},
		[]string{"internal/fault", "internal/telemetry", "internal/testkit", "internal/chart"},
		"the gateway is one caller among others: what it can do, every gRPC client can do",
	},
	{
		"internal/chart",
		[]string{"gen/", "internal/", "services/", "gateway"},
		[]string{"internal/chart"},
		"plots are geometry; what they show is told to them",
	},
	{
		"internal/answer",
		[]string{"gen/", "internal/", "services/", "gateway"},
		nil,
		"handlers keep their answers in any transaction, wherever answers are kept",
	},
	{
		"internal/redact",
		[]string{"internal/", "services/", "gateway"},
		[]string{"internal/redact"},
		"what is personal is said by the contract; masking it needs nothing else",
	},
	{
		"gen/",
		[]string{"services/", "internal/", "gateway", "cmd/"},
		nil,
		"contracts stand on their own",
	},
}

type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestNobodyImportsWhatTheHouseForbids(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			for _, r := range rules {
				if under(from, r.from) && anyUnder(to, r.to) && !anyUnder(to, r.except) {
					t.Errorf("%s imports %s: %s", from, to, r.why)
				}
			}
		}
	}
}

func TestServicesMeetOnlyOverTheirContracts(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		from, ok := strings.CutPrefix(p.ImportPath, module+"services/")
		if !ok {
			continue
		}
		own, _, _ := strings.Cut(from, "/")
		for _, imported := range p.Imports {
			to, ok := strings.CutPrefix(imported, module+"services/")
			if ok && !under(to, own) {
				t.Errorf("services/%s imports services/%s: a service reaches another only through its contract, with a client from gen/go", from, to)
			}
			if imported == "google.golang.org/grpc/codes" || imported == "google.golang.org/grpc/status" {
				t.Errorf("services/%s imports %s: services return faults; the mesh alone turns them into statuses", from, imported)
			}
		}
	}
}

func TestTheRulesCanFail(t *testing.T) {
	t.Parallel()
	if !under("services/routing", "services/") || under("servicesx", "services/") || !under("internal/engine/text", "internal/engine") || under("internal/enginex", "internal/engine") {
		t.Error("paths are compared wrongly, so the rules above prove nothing")
	}
}

// under says whether path is prefix itself or below it.
func under(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func anyUnder(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return p == "internal/" && strings.HasPrefix(path, p) || under(path, p) })
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list found only %d packages", len(packages))
	}
	return packages
}
