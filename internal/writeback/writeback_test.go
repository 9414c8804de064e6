package writeback

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAFileHoldsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, piece - 1, piece, piece + 1, 3*piece + 12345} {
		path := filepath.Join(t.TempDir(), "file")
		data := bytes.Repeat([]byte("switchyard"), size/10+1)[:size]
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(Write(f, data), f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: %d were read back, %v", size, len(got), err)
		}
	}
}

func TestAFullDiskIsAnError(t *testing.T) {
	t.Parallel()
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no device that is always full")
	}
	defer f.Close()
	if err := Write(f, make([]byte, 10)); err == nil {
		t.Error("it was written")
	}
	Start(f, 0, 10) // no file on a disk: nothing happens
}
