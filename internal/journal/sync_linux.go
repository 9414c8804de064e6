package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes the data and, where it changed, the size of a file durable; timestamps can wait.
func datasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}
