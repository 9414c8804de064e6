//go:build !race

package record_test

// raceEnabled says that the race detector makes everything several times slower.
const raceEnabled = false
