package pace

import (
	"bytes"
	"os"
	"strconv"
)

// machineTime returns how long all processors of the machine were idle and how long they were there, in ticks; zeros when that cannot be known.
func machineTime() (idle, all uint64) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	var buf [256]byte // the first line is the sum of all processors
	n, _ := f.Read(buf[:])
	line, _, _ := bytes.Cut(buf[:n], []byte{'\n'})
	for i, word := range bytes.Fields(line) {
		ticks, err := strconv.ParseUint(string(word), 10, 64)
		if i == 0 || err != nil || i > 8 { // later columns are part of earlier ones
			continue
		}
		all += ticks
		if i == 4 || i == 5 { // idle, waiting for a disk
			idle += ticks
		}
	}
	return idle, all
}
