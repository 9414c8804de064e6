package starter_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/switchyard-ai/switchyard/starter"
)

func TestArtifactsAreWhatTheListSays(t *testing.T) {
	t.Parallel()
	models, err := starter.Models()
	if err != nil || len(models) == 0 {
		t.Fatalf("%d models, %v", len(models), err)
	}
	for _, m := range models {
		artifact, err := m.Artifact()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(artifact)
		if got := "sha256:" + hex.EncodeToString(sum[:]); got != m.Digest {
			t.Errorf("%s unpacks to %s, the list says %s", m.Name, got, m.Digest)
		}
	}
}

func TestPackGivesBackTheSame(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("weights"), 10000)
	packed, err := starter.Pack(want)
	if err != nil || len(packed) >= len(want) {
		t.Fatalf("%d bytes became %d, %v", len(want), len(packed), err)
	}
	again, err := starter.Pack(want)
	if err != nil || !bytes.Equal(packed, again) {
		t.Error("packing twice gives different bytes")
	}
}
