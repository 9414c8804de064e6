package writeback

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// start may fail, on file systems that do not know the call; then it is as it would be without. An error of the disk is told by the sync that follows.
func start(f *os.File, from, size int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, size, unix.SYNC_FILE_RANGE_WRITE)
}

// wait fails when the disk does: the system tells that once, to whoever waits, and the sync that follows would not hear of it.
func wait(f *os.File, from, size int64) error {
	err := unix.SyncFileRange(int(f.Fd()), from, size, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return &os.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	return nil
}
