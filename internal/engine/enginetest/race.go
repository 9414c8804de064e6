//go:build race

package enginetest

// raceEnabled is set under the race detector, where sync.Pool drops items at random and every call may allocate.
const raceEnabled = true
