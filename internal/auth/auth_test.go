package auth_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

func TestHas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		caller *auth.Caller
		scope  string
		want   bool
	}{
		"own scope":                {&auth.Caller{Scopes: []string{"models:read"}}, "models:read", true},
		"other scope":              {&auth.Caller{Scopes: []string{"models:read"}}, "models:write", false},
		"star":                     {&auth.Caller{Scopes: []string{"*"}}, "models:write", true},
		"star is not the platform": {&auth.Caller{Scopes: []string{"*"}}, "platform:admin", false},
		"platform by name":         {&auth.Caller{Scopes: []string{"*", "platform:admin"}}, "platform:admin", true},
		"star itself":              {&auth.Caller{Scopes: []string{"*"}}, "*", true},
		"star is more than one":    {&auth.Caller{Scopes: []string{"models:read"}}, "*", false},
		"system":                   {auth.System(), "platform:serve", true},
		"no scope":                 {&auth.Caller{Scopes: []string{"*"}}, "", false},
		"work of all projects":     {&auth.Caller{Scopes: []string{"platform:train"}}, "training:work", true},
		"work of one project":      {&auth.Caller{Scopes: []string{"training:work"}}, "platform:train", false},
		"platform covers no more":  {&auth.Caller{Scopes: []string{"platform:train"}}, "training:write", false},
		"nobody":                   {nil, "models:read", false},
	} {
		if got := c.caller.Has(c.scope); got != c.want {
			t.Errorf("%s: Has(%q) = %v", name, c.scope, got)
		}
	}
}

func TestCallerTravelsInTheContext(t *testing.T) {
	t.Parallel()
	c := &auth.Caller{Project: "acme"}
	if auth.FromContext(auth.WithCaller(context.Background(), c)) != c || auth.FromContext(context.Background()) != nil {
		t.Error("caller got lost, or came from nowhere")
	}
}

func TestNewKeysParse(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		key, id, hash, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		gotID, gotHash, err := auth.ParseKey(key)
		if err != nil || gotID != id || gotHash != hash || hash != sha256.Sum256([]byte(key)) {
			t.Fatalf("key of id %s does not parse back: %v", id, err)
		}
		if !strings.HasPrefix(key, "syk_"+id+"_") || len(id) < 8 || seen[id] {
			t.Fatalf("key of id %s has the wrong form, or came twice", id)
		}
		seen[id] = true
	}
}

func TestMistypedKeysAreRefusedOffline(t *testing.T) {
	t.Parallel()
	key, _, _, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{"", "syk_", "syk_abc", "syk_12345678_", strings.Repeat("x", 1000), key + "0", key[:len(key)-1], "SYK" + key[3:], " " + key}
	for i := range len(key) {
		c := byte('x')
		if key[i] == c {
			c = 'y'
		}
		bad = append(bad, key[:i]+string(c)+key[i+1:])
	}
	for _, b := range bad {
		if _, _, err := auth.ParseKey(b); fault.From(err).ReasonName() != "KEY_INVALID" {
			t.Errorf("ParseKey(%q) = %v, want KEY_INVALID", b, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("syk_0123456789_012345678901234567890123aaaaaa")
	f.Fuzz(func(t *testing.T, s string) {
		id, _, err := auth.ParseKey(s)
		if err == nil && !strings.HasPrefix(s, "syk_"+id+"_") {
			t.Errorf("ParseKey(%q) has id %q", s, id)
		}
	})
}

func BenchmarkParseKey(b *testing.B) {
	key, _, _, err := auth.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := auth.ParseKey(key); err != nil {
			b.Fatal(err)
		}
	}
}
