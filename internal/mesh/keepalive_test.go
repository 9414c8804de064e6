package mesh_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/mesh"
)

// TestClientsThatAnswerNoProbeAreKept speaks HTTP/2 by hand, as PHP does between two calls: it says hello and answers nothing.
func TestClientsThatAnswerNoProbeAreKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		timeout time.Duration // 0 for the default
		kept    bool
	}{
		"by default":          {0, true},
		"unless it is wanted": {time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, options{config: func(config *mesh.Config) {
				config.KeepaliveTime = time.Second // grpc-go probes no faster
				if c.timeout > 0 {
					config.KeepaliveTimeout = c.timeout
				}
			}})
			probed, closed := silent(t, s.Addr().String())
			if !probed {
				t.Error("the server did not probe the connection")
			}
			if closed == c.kept {
				t.Errorf("connection closed: %v", closed)
			}
		})
	}
}

// silent opens a connection, answers no PING for four seconds, and tells whether there was one and whether the server has closed.
func silent(t *testing.T, address string) (probed, closed bool) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing was written that could be lost
	if err := conn.SetDeadline(time.Now().Add(4 * time.Second)); err != nil {
		t.Fatal(err)
	}
	settings, ack := "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x00\x00\x00\x04\x01\x00\x00\x00\x00"
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+settings+ack); err != nil {
		t.Fatal(err)
	}
	for {
		var head [9]byte
		_, err := io.ReadFull(conn, head[:])
		if err == nil {
			length := binary.BigEndian.Uint32(head[:4]) >> 8
			_, err = io.CopyN(io.Discard, conn, int64(length))
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return probed, false
		case err != nil || head[3] == 7: // GOAWAY
			return probed, true
		case head[3] == 6: // PING
			probed = true
		}
	}
}
