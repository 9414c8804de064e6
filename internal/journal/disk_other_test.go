//go:build !linux

package journal_test

import "testing"

func smallDisk(t *testing.T, _ string) string {
	t.Helper()
	t.Skip("mounting a small disk needs Linux")
	return ""
}
