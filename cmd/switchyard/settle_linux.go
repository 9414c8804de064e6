package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// settle gives back what only the start needed: freed memory, and the pages of the program itself that were read on the way. Those are the system's copy of the file: what is used
// again is mapped again, without reading the disk as long as the system has room.
func settle() {
	debug.FreeOSMemory()
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	movable := positionIndependent()
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		if from, size, ok := programPages(lines.Bytes(), []byte(self), movable); ok {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, size, unix.MADV_DONTNEED) // it may refuse, then they stay
		}
	}
}

// positionIndependent says whether the program was moved when it was loaded, or that this cannot be known.
func positionIndependent() bool {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return true
	}
	defer f.Close()
	var header [18]byte
	const kind, fixed = 16, 2 // e_type, ET_EXEC
	_, err = io.ReadFull(f, header[:])
	return err != nil || binary.NativeEndian.Uint16(header[kind:]) != fixed
}

// programPages returns where a line of /proc/self/maps says that pages of the program are mapped that are the same as in the file: instructions, and constants unless the loader
// wrote addresses among them because the program is movable.
func programPages(line, program []byte, movable bool) (from, size uintptr, ok bool) {
	words := bytes.Fields(line)
	if len(words) < 6 || !bytes.HasSuffix(line, program) || len(words[1]) != 4 || words[1][1] == 'w' || movable && words[1][2] != 'x' {
		return 0, 0, false
	}
	a, b, ok := bytes.Cut(words[0], []byte{'-'})
	if !ok {
		return 0, 0, false
	}
	begin, err := strconv.ParseUint(string(a), 16, 8*int(unsafe.Sizeof(from)))
	if err != nil {
		return 0, 0, false
	}
	end, err := strconv.ParseUint(string(b), 16, 8*int(unsafe.Sizeof(from)))
	if err != nil || end <= begin {
		return 0, 0, false
	}
	return uintptr(begin), uintptr(end - begin), true
}
