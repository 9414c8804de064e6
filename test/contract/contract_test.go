package contract

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// fixture is what the cases find in every system.
type fixture struct {
	keys map[string]string // by the names that cases use
	vars map[string]string
}

// prepare deploys models and makes keys, rules and review items, through the contract.
func prepare(t *testing.T, admin grpc.ClientConnInterface, adminKey string) fixture {
	t.Helper()
	testkit.Deploy(t, admin, "support", testkit.Support, true)
	testkit.Deploy(t, admin, "topics", testkit.Topics, true)
	testkit.Deploy(t, admin, "expenses", testkit.Expenses, true)
	testkit.Deploy(t, admin, "comments", testkit.Comments, true)
	testkit.Deploy(t, admin, "uncertified", testkit.Comments, false)
	_, err := moderationv1.NewModerationServiceClient(admin).CreateRule(t.Context(), &moderationv1.CreateRuleRequest{
		Kind: moderationv1.RuleKind_RULE_KIND_DENY, Pattern: "spammy shop", Category: "advert",
	})
	if err != nil {
		t.Fatalf("create rule: %v", err)
	}
	f := fixture{keys: map[string]string{"full": adminKey, "none": "", "wrong": wrongKey(t)}, vars: map[string]string{}}
	f.vars["decisionId"] = decide(t, admin)
	f.keys["narrow"], f.vars["narrowId"] = testkit.NewKey(t, admin, "narrow", 0, "identity:read")
	f.keys["keymaker"], _ = testkit.NewKey(t, admin, "keymaker", 0, "identity:write")
	f.keys["other"] = testkit.NewProject(t, admin, "other")
	revoked, id := testkit.NewKey(t, admin, "revoked", 0, "routing:decide")
	if _, err := identityv1.NewIdentityServiceClient(admin).RevokeKey(t.Context(), &identityv1.RevokeKeyRequest{KeyId: id}); err != nil {
		t.Fatalf("revoke key: %v", err)
	}
	f.keys["revoked"] = revoked
	for i, name := range []string{"itemId", "leasedId", "withdrawnId"} {
		f.vars[name] = undecided(t, admin, []string{"undecided one", "undecided two", "undecided three"}[i], fmt.Sprint("contract-", i+1))
	}
	f.vars["webhookId"] = webhook(t, admin)
	imported(t, admin, &trainingv1.ImportSpec{
		Name: "small", Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", File: "small.jsonl",
		Split: &trainingv1.SplitSpec{Method: trainingv1.SplitMethod_SPLIT_METHOD_NONE},
	}, `{"text":"black screen","label":"hardware"}`, `{"text":"paid twice","label":"billing"}`, `{"text":"no label"}`)
	f.keys["expired"], _ = testkit.NewKey(t, admin, "expired", time.Second, "routing:decide")
	time.Sleep(time.Second + 50*time.Millisecond) // the shortest lifetime that the contract allows
	return f
}

// decide has one inquiry decided, as soon as the deployment answers, and returns the decision's id.
func decide(t *testing.T, conn grpc.ClientConnInterface) string {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		r, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{
			Deployment: "support", Subject: "Screen", Body: "my laptop screen stays black", Channel: "email", CustomerId: "customer-7", InquiryId: "ticket-1",
		})
		if err == nil {
			return r.GetDecision().GetDecisionId()
		}
		if time.Now().After(deadline) {
			t.Fatalf("route: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// door is one way into a prepared system.
type door struct {
	name    string
	door    Door
	fixture fixture
}

func TestSameAnswersOnEveryTransport(t *testing.T) {
	t.Parallel()
	doors := slices.Concat(wholeDoors(t), []door{tlsDoor(t)}, splitDoors(t))
	answers := map[string]map[string]*Answer{} // by case, by door
	var order []string
	for _, d := range doors {
		files, err := Load(".", d.fixture.vars)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range slices.Sorted(maps.Keys(files)) {
			for _, c := range files[file] {
				name := file + ": " + c.Name
				answer := runCase(t, d, name, &c)
				if answers[name] == nil {
					answers[name] = map[string]*Answer{}
					order = append(order, name)
				}
				answers[name][d.name] = answer
			}
		}
	}
	first := doors[0].name
	for _, name := range order {
		for _, d := range doors[1:] {
			if diff := cmp.Diff(comparable(answers[name][first]), comparable(answers[name][d.name])); diff != "" {
				t.Errorf("%s: %s (-) and %s (+) answer differently:\n%s", name, first, d.name, diff)
			}
		}
	}
	t.Logf("%d cases over %d doors", len(order), len(doors))
}

func runCase(t *testing.T, d door, name string, c *Case) *Answer {
	t.Helper()
	keyName := c.Key
	if keyName == "" {
		keyName = "full"
	}
	key, ok := d.fixture.keys[keyName]
	if !ok {
		t.Fatalf("%s: there is no key %q", name, keyName)
	}
	answer, err := d.door.Call(t.Context(), c, key)
	if err != nil {
		t.Errorf("%s over %s: %v", name, d.name, err)
		return &Answer{}
	}
	for _, problem := range Check(c, answer) {
		t.Errorf("%s over %s: %s", name, d.name, problem)
	}
	return answer
}

// generated are the ids and times that messages may name.
var generated = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|API key [0-9A-Za-z]+|\d{4}-\d\d-\d\dT[0-9:.]+Z`)

// comparable is what has to be equal on every transport.
func comparable(a *Answer) any {
	if a.Error != nil {
		e := *a.Error
		e.HTTP = 0
		e.Message = generated.ReplaceAllString(e.Message, "…")
		return map[string]any{"messages": Stable(toList(a.Messages)), "error": e}
	}
	return withoutAuditItems(Stable(toList(a.Messages)))
}

// withoutAuditItems leaves out the item of a decision that is read back: every twentieth is drawn for an audit, by chance, and has one in the queue a moment later.
func withoutAuditItems(answer any) any {
	messages, _ := answer.([]any)
	for _, m := range messages {
		m, _ := m.(map[string]any)
		if review, ok := m["review"].(map[string]any); ok {
			delete(review, "item")
		}
	}
	return answer
}

func toList(messages []any) []any {
	if messages == nil {
		return []any{}
	}
	return messages
}

// wholeDoors are the ways into one process that runs everything.
func wholeDoors(t *testing.T) []door {
	t.Helper()
	s := testkit.Start(t)
	f := prepare(t, s.Dial(s.Key), s.Key)
	inside, err := s.App.Conn("routing")
	if err != nil {
		t.Fatal(err)
	}
	return []door{
		{"in-process", GRPC{inside}, f},
		{"TCP", GRPC{s.Dial("")}, f},
		{"unix socket", GRPC{s.DialSocket("")}, f},
		{"REST", REST{Base: "http://" + s.Addresses.HTTP, Client: http.DefaultClient}, f},
	}
}

func tlsDoor(t *testing.T) door {
	t.Helper()
	certFile, keyFile := certificate(t)
	s := testkit.Start(t, func(c *app.Config) {
		c.GRPC.TLS = mesh.TLSFiles{CertFile: certFile, KeyFile: keyFile}
	})
	f := prepare(t, s.DialTLS(s.Key, certFile), s.Key)
	return door{"TCP with TLS", GRPC{s.DialTLS("", certFile)}, f}
}

// splitDoors are the ways into two processes' worth of product: the registry and identity in one, operations and the gateway in the other.
func splitDoors(t *testing.T) []door {
	t.Helper()
	front, back := startSplit(t)
	gateway := REST{Base: "http://" + front.Addresses.HTTP, Client: http.DefaultClient}
	f := prepare(t, split{front.Dial(back.Key), back.Dial(back.Key)}, back.Key)
	waitUntilServed(t, gateway, back.Key)
	return []door{{"REST of a split deployment", gateway, f}}
}

func startSplit(t *testing.T) (front, back *testkit.System) {
	t.Helper()
	back = testkit.Start(t, func(c *app.Config) { c.Target = []string{"models", "identity", "training"} })
	admin := back.Dial(back.Key)
	serveKey, _ := testkit.NewKey(t, admin, "serve", 0, "models:read", "models:write", "platform:serve")
	keyFile := filepath.Join(t.TempDir(), "serve.key")
	if err := os.WriteFile(keyFile, []byte(serveKey), 0o600); err != nil {
		t.Fatal(err)
	}
	front = testkit.Start(t, func(c *app.Config) {
		c.Target = []string{"moderation", "routing", "classification", "decisions", "review", "monitoring", "events", "jobs", "gateway"}
		c.Peers = map[string]string{"models": back.Addresses.GRPC, "identity": "unix:" + back.Addresses.Socket, "training": back.Addresses.GRPC}
		c.PeerKeyFile = keyFile
	})
	return front, back
}

// certificate makes a self-signed certificate for 127.0.0.1, which is its own authority.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "switchyard test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", der)
}

// waitUntilServed waits until a deployment that was just made answers in another process.
func waitUntilServed(t *testing.T, d Door, key string) {
	t.Helper()
	files, err := Load(".", nil)
	if err != nil {
		t.Fatal(err)
	}
	probe := files["routing"][0]
	deadline := time.Now().Add(10 * time.Second)
	for {
		answer, err := d.Call(t.Context(), &probe, key)
		if err == nil && answer.Error == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the deployment does not answer after 10 s: %v %s", err, fmt.Sprint(answer))
		}
		time.Sleep(10 * time.Millisecond)
	}
}
