package mesh

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

// listenTCP opens the TCP address, unless it turns out to be reachable from elsewhere and nothing protects it.
func listenTCP(c Config) (net.Listener, error) {
	l, err := net.Listen("tcp", c.Address) //nolint:noctx // ends with Close
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Address, err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if c.TLS.CertFile == "" && (!ok || !addr.IP.IsLoopback()) {
		_ = l.Close()
		return nil, errBeyondLoopback(c.Address)
	}
	return l, nil
}

// listenUnix opens a unix socket. It gets its mode and group under another name before it appears under its own, so that nobody can
// connect in between.
func listenUnix(c Config) (net.Listener, error) {
	mode, err := c.socketMode()
	if err != nil {
		return nil, err
	}
	if err := clearSocket(c.Socket); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(c.Socket), ".s") // only we can look into it; short, for paths of sockets end at 107 bytes
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Socket, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	hidden := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Socket, err)
	}
	l.SetUnlinkOnClose(false) // it would look for the old name
	err = errors.Join(os.Chmod(hidden, mode), chgrp(hidden, c.SocketGroup))
	if err == nil {
		err = os.Rename(hidden, c.Socket)
	}
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen on %s: %w", c.Socket, err)
	}
	return &socket{UnixListener: l, path: c.Socket}, nil
}

type socket struct {
	*net.UnixListener
	path string
}

// Close implements net.Listener: the file goes first, so that a successor's is not removed.
func (s *socket) Close() error {
	return errors.Join(ignoreMissing(os.Remove(s.path)), ignoreClosed(s.UnixListener.Close()))
}

// Addr implements net.Listener.
func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// clearSocket removes what a killed process left behind, and nothing else.
func clearSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("listen on %s: a file that is no socket is in the way", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second) //nolint:noctx // bounded by its timeout
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("listen on %s: another process listens there", path)
	}
	return ignoreMissing(os.Remove(path))
}

func chgrp(path, group string) error {
	if group == "" {
		return nil
	}
	gid, err := strconv.Atoi(group)
	if err != nil {
		g, err := user.LookupGroup(group)
		if err != nil {
			return fmt.Errorf("find socket_group: %w", err)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return fmt.Errorf("read id of group %s: %w", group, err)
		}
	}
	return os.Chown(path, -1, gid)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
