// Package data finds the real labelled data sets that some tests and benchmarks use. The data is never part of the
// repository: where it is absent those tests skip and say how to provide it.
package data

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Env names the environment variable that points at the folder of data sets.
const Env = "SWITCHYARD_DATA"

// Dir returns the folder of data sets: $SWITCHYARD_DATA, or shared/data beside the checkout.
func Dir() string {
	if dir := os.Getenv(Env); dir != "" {
		return dir
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..", "shared", "data")
}

// Path returns the path of one file of the data sets, such as "it_tickets/train.jsonl.gz", and skips the test when it is absent.
func Path(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join(Dir(), filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("data set %s is absent; set %s to the folder that holds it", name, Env)
	}
	return path
}
