package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// TestADiskThatIsFullAndHasRoomAgain fills the disk under a running server: callers are told so by a typed error, and full service
// returns by itself at most 5 s after the room does.
func TestADiskThatIsFullAndHasRoomAgain(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	mount := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", mount).CombinedOutput(); err != nil {
		t.Skipf("no small file system can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = syscall.Unmount(mount, syscall.MNT_DETACH) })
	s := startWith(t, process.Options{DataDir: filepath.Join(mount, "data"), KeyFile: filepath.Join(t.TempDir(), "key"), Args: []string{"--socket", "none"}})
	var acknowledged []string
	route := func() (status int, reason string) {
		a, err := s.Post(t.Context(), routePath, `{"deployment":"support","body":"`+strings.Repeat("my printer does not work ", 200)+`"}`)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Decision struct {
				ID string `json:"decisionId"`
			} `json:"decision"`
			Details []struct {
				Reason string `json:"reason"`
			} `json:"details"`
		}
		_ = json.Unmarshal(a.Body, &answer)
		if len(answer.Details) > 0 {
			reason = answer.Details[0].Reason
		}
		if a.Status == 200 {
			acknowledged = append(acknowledged, answer.Decision.ID)
		}
		return a.Status, reason
	}
	if status, reason := route(); status != 200 {
		t.Fatalf("before the disk is full: HTTP %d %s", status, reason)
	}

	filler := filepath.Join(mount, "filler")
	seen := map[string]int{}
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); {
		fill(t, filler) // again and again: the server gives back room while it tries
		status, reason := route()
		seen[reason]++
		if status != 200 && reason != "STORAGE_FULL" {
			t.Fatalf("on a full disk: HTTP %d %s, want STORAGE_FULL", status, reason)
		}
	}
	if seen["STORAGE_FULL"] == 0 {
		t.Fatalf("no STORAGE_FULL on a full disk, but %v", seen)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	for {
		status, reason := route()
		if status == 200 {
			break
		}
		if time.Since(back) > 5*time.Second {
			t.Fatalf("5 s after the room has returned: HTTP %d %s", status, reason)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("service is back after %v; answers while the disk was full: %v", time.Since(back).Round(time.Millisecond), seen)
	// Full service: records, tables and artifacts too.
	if _, _, err := s.Command(t.Context(), binary, "train", "--operation", "routing", "--deployment", "desk", "--input", file(t, "tickets.jsonl", tickets(600)), "--report", "-", "--quiet"); err != nil {
		t.Errorf("training after a full disk: %v", err)
	}
	for range 50 {
		if status, reason := route(); status != 200 {
			t.Fatalf("after the disk was full: HTTP %d %s", status, reason)
		}
	}
	stop(t, s)
	streamed := inStream(t, filepath.Join(mount, "data"))
	for _, id := range acknowledged {
		if streamed[id] != 1 {
			t.Errorf("acknowledged decision %s is in the stream %d times", id, streamed[id])
		}
	}
}

// fill writes until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) || errors.Is(err, io.ErrShortWrite) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
