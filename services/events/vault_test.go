package events_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/services/events"
)

// TestSecretsOfWebhooksAreNotInTheDatabase looks for them in its files: after they are made, after they are rotated, and those of a database that held them as they are.
func TestSecretsOfWebhooksAreNotInTheDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "switchyard.db")
	ctx := auth.WithCaller(t.Context(), &auth.Caller{Project: "acme", KeyID: "k", Scopes: []string{"*"}})
	start := func(key []byte) (*events.Service, func(), error) {
		d, err := db.Open(t.Context(), db.Default(path))
		if err != nil {
			t.Fatal(err)
		}
		s := events.New(events.Deps{DB: d, Config: events.Default(), SecretKey: key})
		return s, func() {
			if err := d.Scrub(t.Context()); err != nil {
				t.Error(err)
			}
			_ = d.Close()
		}, s.Start(t.Context())
	}
	holds := func(secret string) bool {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(raw) != 32 {
			t.Fatalf("%q is no secret", secret)
		}
		files, _ := filepath.Glob(path + "*")
		for _, f := range files {
			if data, err := os.ReadFile(f); err == nil && bytes.Contains(data, raw) {
				return true
			}
		}
		return false
	}
	create := func(s *events.Service) (id, secret string) {
		t.Helper()
		r, err := s.CreateWebhook(ctx, &eventsv1.CreateWebhookRequest{Spec: &eventsv1.WebhookSpec{Url: "https://example.org/hook"}})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetWebhook().GetWebhookId(), r.GetSecret()
	}

	plain, stop, err := start(nil) // an earlier release
	if err != nil {
		t.Fatal(err)
	}
	_, early := create(plain)
	stop()
	if !holds(early) {
		t.Fatal("a secret that is not encrypted is not found: this proves nothing")
	}
	key := bytes.Repeat([]byte{7}, 32)
	sealed, stop, err := start(key)
	if err != nil {
		t.Fatal(err)
	}
	id, first := create(sealed)
	r, err := sealed.RotateSecret(ctx, &eventsv1.RotateSecretRequest{WebhookId: id})
	if err != nil || r.GetSecret() == first {
		t.Fatalf("rotate: %v", err)
	}
	stop()
	for name, secret := range map[string]string{"of an earlier release": early, "old": first, "new": r.GetSecret()} {
		if holds(secret) {
			t.Errorf("the secret %s is in the database", name)
		}
	}
	for name, other := range map[string][]byte{"another key": bytes.Repeat([]byte{8}, 32), "no key": nil} {
		_, stop, err := start(other)
		stop()
		if err == nil {
			t.Errorf("with %s the service started, and could sign nothing", name)
		}
	}
}
