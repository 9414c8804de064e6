package identity_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/identity"
)

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// house is a running service over a real connection, authenticated by itself.
type house struct {
	identityv1.IdentityServiceClient
	service *identity.Service
	clock   *clock
	devKey  string
	stop    func()
}

func start(tb testing.TB, dir string, change ...func(*identity.Config)) *house {
	tb.Helper()
	cfg := identity.Default()
	for _, c := range change {
		c(&cfg)
	}
	d, err := db.Open(context.Background(), dbtest.Config(tb, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		tb.Fatal(err)
	}
	h := &house{clock: &clock{t: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}}
	h.service = identity.New(identity.Deps{DB: d, Config: cfg, Now: h.clock.now})
	if err := h.service.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	if h.devKey, _, err = h.service.Bootstrap(context.Background()); err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(h.authenticate))
	h.service.Register(server)
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///identity", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		tb.Fatal(err)
	}
	h.IdentityServiceClient = identityv1.NewIdentityServiceClient(conn)
	h.stop = sync.OnceFunc(func() {
		_ = conn.Close()
		server.Stop()
		if err := h.service.Close(); err != nil {
			tb.Error(err)
		}
		_ = d.Close()
	})
	tb.Cleanup(h.stop)
	return h
}

// authenticate stands for the chain of internal/mesh.
func (h *house) authenticate(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	caller, err := h.service.Authenticate(ctx, md["key"][0])
	if err == nil {
		var res any
		if res, err = next(auth.WithCaller(ctx, caller), req); err == nil {
			return res, nil
		}
	}
	return nil, fault.From(err).Status().Err()
}

func with(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "key", key)
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return fault.FromStatus(status.Convert(err)).ReasonName()
}

func wantReason(tb testing.TB, what string, err error, want string) {
	tb.Helper()
	if got := reason(err); got != want {
		tb.Errorf("%s: reason %q (%v), want %q", what, got, err, want)
	}
}

func (h *house) mustCreate(tb testing.TB, key string, req *identityv1.CreateKeyRequest) *identityv1.CreateKeyResponse {
	tb.Helper()
	res, err := h.CreateKey(with(tb.Context(), key), req)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

func TestBootstrapHappensOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir)
	res, err := h.GetCaller(with(t.Context(), h.devKey), &identityv1.GetCallerRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if k := res.GetKey(); k.GetProject() != "default" || !slices.Equal(k.GetScopes(), []string{"*", "platform:admin", "platform:serve", "platform:train"}) {
		t.Errorf("development key is %v", k)
	}
	h.stop()
	again := start(t, dir)
	if again.devKey != "" {
		t.Error("a second start made a second development key")
	}
	if _, err := again.service.Authenticate(t.Context(), h.devKey); err != nil {
		t.Errorf("the key of the first start: %v", err)
	}
	extra, err := again.service.NewDevelopmentKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := again.service.Authenticate(t.Context(), extra); err != nil || !c.Has("platform:admin") {
		t.Errorf("additional development key: %v %v", c, err)
	}
}

func TestKeySurvivesReopeningWithoutItsSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir)
	made := h.mustCreate(t, h.devKey, &identityv1.CreateKeyRequest{
		Name: "shop", Scopes: []string{"routing:decide", "models:read", "routing:decide"}, Lifetime: durationpb.New(time.Hour),
	})
	if got := made.GetKey().GetScopes(); !slices.Equal(got, []string{"models:read", "routing:decide"}) {
		t.Errorf("scopes are %v", got)
	}
	h.stop()
	h2 := start(t, dir)
	caller, err := h2.service.Authenticate(t.Context(), made.GetSecret())
	if err != nil || caller.Project != "default" || caller.KeyID != made.GetKey().GetKeyId() || caller.KeyName != "shop" {
		t.Fatalf("caller %v, %v", caller, err)
	}
	list, err := h2.ListKeys(with(t.Context(), h.devKey), &identityv1.ListKeysRequest{})
	if err != nil || len(list.GetKeys()) != 2 {
		t.Fatalf("list %v, %v", list, err)
	}
	if strings.Contains(list.String(), made.GetSecret()[20:]) {
		t.Error("a list shows a secret")
	}
	for _, k := range list.GetKeys() {
		if k.GetKeyId() == made.GetKey().GetKeyId() {
			k.LastUsedTime = nil
			if diff := cmp.Diff(made.GetKey(), k, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestKeyIsRefusedForOneReason(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	brief := h.mustCreate(t, h.devKey, &identityv1.CreateKeyRequest{Name: "brief", Scopes: []string{"*"}, Lifetime: durationpb.New(time.Hour)})
	gone := h.mustCreate(t, h.devKey, &identityv1.CreateKeyRequest{Name: "gone", Scopes: []string{"*"}})
	for range 2 { // repeating it changes nothing
		res, err := h.RevokeKey(with(t.Context(), h.devKey), &identityv1.RevokeKeyRequest{KeyId: gone.GetKey().GetKeyId()})
		if err != nil || !res.GetKey().GetRevokeTime().AsTime().Equal(h.clock.now()) {
			t.Fatalf("revoke: %v, %v", res, err)
		}
	}
	stranger, _, _, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	// The id of a known key with a secret that is not its own, checksum and all.
	forged := "syk_" + gone.GetKey().GetKeyId() + "_" + strings.Repeat("0", 30)
	h.clock.pass(time.Hour)
	for name, test := range map[string]struct{ key, want string }{
		"expired":      {brief.GetSecret(), "KEY_EXPIRED"},
		"revoked":      {gone.GetSecret(), "KEY_REVOKED"},
		"never issued": {stranger, "KEY_INVALID"},
		"forged":       {forged, "KEY_INVALID"},
		"mistyped":     {h.devKey[:len(h.devKey)-1], "KEY_INVALID"},
		"empty":        {"", "KEY_INVALID"},
		"valid":        {h.devKey, ""},
	} {
		_, err := h.GetCaller(with(t.Context(), test.key), &identityv1.GetCallerRequest{})
		wantReason(t, name, err, test.want)
	}
}

func TestNobodyGivesScopesThatTheyDoNotHold(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	admin := h.mustCreate(t, h.devKey, &identityv1.CreateKeyRequest{Name: "admin", Scopes: []string{"*"}}).GetSecret()
	clerk := h.mustCreate(t, h.devKey, &identityv1.CreateKeyRequest{Name: "clerk", Scopes: []string{"identity:write", "models:read"}}).GetSecret()
	for _, test := range []struct{ key, scope, want string }{
		{admin, "*", ""},
		{admin, "models:write", ""},
		{admin, "platform:admin", "SCOPE_MISSING"},
		{admin, "models:everything", "INVALID_ARGUMENT"},
		{admin, "", "INVALID_ARGUMENT"},
		{clerk, "models:read", ""},
		{clerk, "models:write", "SCOPE_MISSING"},
		{clerk, "*", "SCOPE_MISSING"},
		{h.devKey, "platform:serve", ""},
	} {
		_, err := h.CreateKey(with(t.Context(), test.key), &identityv1.CreateKeyRequest{Name: "x", Scopes: []string{test.scope}})
		wantReason(t, "scope "+test.scope, err, test.want)
	}
	list, err := h.ListKeys(with(t.Context(), h.devKey), &identityv1.ListKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list.GetKeys() {
		if k.GetName() == "development" {
			_, err := h.RotateKey(with(t.Context(), clerk), &identityv1.RotateKeyRequest{KeyId: k.GetKeyId()})
			wantReason(t, "rotating a mightier key", err, "SCOPE_MISSING")
		}
	}
}

func TestRotationKeepsBothKeysForTheGracePeriod(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	ctx := with(t.Context(), h.devKey)
	old := h.mustCreate(t, h.devKey, &identityv1.CreateKeyRequest{Name: "shop", Scopes: []string{"routing:decide"}, Lifetime: durationpb.New(30 * 24 * time.Hour)})
	h.clock.pass(24 * time.Hour)
	next, err := h.RotateKey(ctx, &identityv1.RotateKeyRequest{KeyId: old.GetKey().GetKeyId(), Grace: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if k := next.GetKey(); k.GetName() != "shop" || !slices.Equal(k.GetScopes(), []string{"routing:decide"}) ||
		!k.GetExpireTime().AsTime().Equal(h.clock.now().Add(30*24*time.Hour)) {
		t.Errorf("successor is %v", k)
	}
	check := func(when string, wantOld string) {
		t.Helper()
		_, err := h.service.Authenticate(t.Context(), old.GetSecret())
		wantReason(t, "old key "+when, err, wantOld)
		_, err = h.service.Authenticate(t.Context(), next.GetSecret())
		wantReason(t, "new key "+when, err, "")
	}
	check("in the grace period", "")
	h.clock.pass(time.Hour)
	check("after it", "KEY_EXPIRED")

	_, err = h.RotateKey(ctx, &identityv1.RotateKeyRequest{KeyId: old.GetKey().GetKeyId()})
	wantReason(t, "rotating an expired key", err, "INVALID_ARGUMENT")
	last, err := h.RotateKey(ctx, &identityv1.RotateKeyRequest{KeyId: next.GetKey().GetKeyId()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.service.Authenticate(t.Context(), next.GetSecret())
	wantReason(t, "old key without grace", err, "KEY_EXPIRED")
	if _, err = h.service.Authenticate(t.Context(), last.GetSecret()); err != nil {
		t.Error(err)
	}
}

func TestAnotherProjectsKeysDoNotExist(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	keys := map[string]string{}
	ids := map[string][]string{}
	for _, p := range []string{"acme", "umbrella"} {
		res, err := h.CreateProject(with(t.Context(), h.devKey), &identityv1.CreateProjectRequest{Name: p})
		if err != nil {
			t.Fatal(err)
		}
		keys[p] = res.GetSecret()
		ids[p] = append(ids[p], res.GetKey().GetKeyId())
		for range 3 {
			k := h.mustCreate(t, res.GetSecret(), &identityv1.CreateKeyRequest{Name: p, Scopes: []string{"*"}}).GetKey()
			if k.GetProject() != p {
				t.Fatalf("key of %s is in project %s", p, k.GetProject())
			}
			ids[p] = append(ids[p], k.GetKeyId())
		}
	}
	for mine, theirs := range map[string]string{"acme": "umbrella", "umbrella": "acme"} {
		ctx := with(t.Context(), keys[mine])
		for _, id := range ids[theirs] {
			_, err := h.RevokeKey(ctx, &identityv1.RevokeKeyRequest{KeyId: id})
			wantReason(t, "revoke", err, "NOT_FOUND")
			_, err = h.RotateKey(ctx, &identityv1.RotateKeyRequest{KeyId: id})
			wantReason(t, "rotate", err, "NOT_FOUND")
		}
		list, err := h.ListKeys(ctx, &identityv1.ListKeysRequest{})
		if err != nil || len(list.GetKeys()) != 4 {
			t.Errorf("%s lists %v, %v", mine, list, err)
		}
		for _, k := range list.GetKeys() {
			if k.GetProject() != mine {
				t.Errorf("%s sees key %v", mine, k)
			}
		}
	}
	_, err := h.CreateProject(with(t.Context(), h.devKey), &identityv1.CreateProjectRequest{Name: "acme"})
	wantReason(t, "same project twice", err, "ALREADY_EXISTS")
	for _, name := range []string{"", "Acme", "1a", "a_b", strings.Repeat("a", 41)} {
		_, err := h.CreateProject(with(t.Context(), h.devKey), &identityv1.CreateProjectRequest{Name: name})
		wantReason(t, "project "+name, err, "INVALID_ARGUMENT")
	}
}

func TestListsPageThroughEverythingOnce(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	ctx := with(t.Context(), h.devKey)
	for i := range 7 { // several keys of one moment: the id decides
		h.mustCreate(t, h.devKey, &identityv1.CreateKeyRequest{Name: fmt.Sprint(i), Scopes: []string{"*"}})
		if _, err := h.CreateProject(ctx, &identityv1.CreateProjectRequest{Name: fmt.Sprintf("p%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	seen, token := map[string]bool{}, ""
	for {
		res, err := h.ListKeys(ctx, &identityv1.ListKeysRequest{Page: &commonv1.PageRequest{Size: 3, Token: token}})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range res.GetKeys() {
			if seen[k.GetKeyId()] {
				t.Errorf("key %s is listed twice", k.GetKeyId())
			}
			seen[k.GetKeyId()] = true
		}
		if token = res.GetPage().GetNextToken(); token == "" {
			break
		}
	}
	if len(seen) != 8 {
		t.Errorf("listed %d keys, want 8", len(seen))
	}
	var names []string
	for token = ""; ; {
		res, err := h.ListProjects(ctx, &identityv1.ListProjectsRequest{Page: &commonv1.PageRequest{Size: 3, Token: token}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range res.GetProjects() {
			names = append(names, p.GetName())
		}
		if token = res.GetPage().GetNextToken(); token == "" {
			break
		}
		_, err = h.ListKeys(ctx, &identityv1.ListKeysRequest{Page: &commonv1.PageRequest{Token: token}})
		wantReason(t, "token of another list", err, "INVALID_ARGUMENT")
	}
	if want := []string{"default", "p0", "p1", "p2", "p3", "p4", "p5", "p6"}; !slices.Equal(names, want) {
		t.Errorf("projects %v", names)
	}
}

func TestProjectHoldsLimitedKeys(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), func(c *identity.Config) { c.MaxValidKeys, c.MaxInvalidKeys = 3, 2 })
	ctx := with(t.Context(), h.devKey)
	var made []*identityv1.CreateKeyResponse
	for i := range 12 {
		res, err := h.CreateKey(ctx, &identityv1.CreateKeyRequest{Name: fmt.Sprint(i), Scopes: []string{"*"}})
		if i%3 == 2 { // the development key and two more are valid
			wantReason(t, "one too many", err, "QUOTA_EXCEEDED")
			for _, k := range made[len(made)-2:] {
				if _, err := h.RevokeKey(ctx, &identityv1.RevokeKeyRequest{KeyId: k.GetKey().GetKeyId()}); err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, res)
		h.clock.pass(time.Second)
	}
	_, err := h.service.Authenticate(t.Context(), made[0].GetSecret())
	wantReason(t, "a forgotten key", err, "KEY_INVALID")
	list, err := h.ListKeys(ctx, &identityv1.ListKeysRequest{})
	if err != nil || len(list.GetKeys()) > 6 {
		t.Errorf("%d keys are remembered, %v", len(list.GetKeys()), err)
	}
}

func TestLastUseIsKnownToTheMinuteAndSurvives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir)
	made := h.mustCreate(t, h.devKey, &identityv1.CreateKeyRequest{Name: "shop", Scopes: []string{"*"}})
	if made.GetKey().GetLastUsedTime() != nil {
		t.Error("used before its first call")
	}
	h.clock.pass(90 * time.Second)
	for range 3 {
		if _, err := h.service.Authenticate(t.Context(), made.GetSecret()); err != nil {
			t.Fatal(err)
		}
	}
	want := h.clock.now().Truncate(time.Minute)
	h.stop()
	h2 := start(t, dir)
	list, err := h2.ListKeys(with(t.Context(), h.devKey), &identityv1.ListKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list.GetKeys() {
		if k.GetName() == "shop" && !k.GetLastUsedTime().AsTime().Equal(want) {
			t.Errorf("last used at %v, want %v", k.GetLastUsedTime().AsTime(), want)
		}
	}
}

func TestRevocationWinsAgainstEveryOtherChange(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	ctx := with(t.Context(), h.devKey)
	for range 20 {
		k := h.mustCreate(t, h.devKey, &identityv1.CreateKeyRequest{Name: "x", Scopes: []string{"*"}})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = h.RotateKey(ctx, &identityv1.RotateKeyRequest{KeyId: k.GetKey().GetKeyId(), Grace: durationpb.New(time.Hour)})
		})
		wg.Go(func() {
			if _, err := h.RevokeKey(ctx, &identityv1.RevokeKeyRequest{KeyId: k.GetKey().GetKeyId()}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() { _, _ = h.service.Authenticate(t.Context(), k.GetSecret()) })
		wg.Wait()
		_, err := h.service.Authenticate(t.Context(), k.GetSecret())
		wantReason(t, "after a revocation", err, "KEY_REVOKED")
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	if err := identity.Default().Validate(); err != nil {
		t.Errorf("default: %v", err)
	}
	err := identity.Config{MaxInvalidKeys: -1}.Validate()
	for _, field := range []string{"max_valid_keys", "max_invalid_keys", "max_projects", "last_used_interval"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	h := start(b, b.TempDir())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.service.Authenticate(b.Context(), h.devKey); err != nil {
			b.Fatal(err)
		}
	}
}
