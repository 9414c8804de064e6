package mesh

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"time"
)

// Config says where a gRPC server listens and what it accepts.
type Config struct {
	// Address is the TCP address, such as "127.0.0.1:7070"; port 0 takes a free one. Empty: no TCP. Beyond loopback TLS is required.
	Address string `yaml:"address"`
	// Socket is the path of a unix socket. Empty: none.
	Socket string `yaml:"socket"`
	// SocketMode is the socket's file mode in octal digits; only who may write to the socket can call.
	SocketMode string `yaml:"socket_mode"`
	// SocketGroup is the group that owns the socket, by name or number. Empty: that of the process.
	SocketGroup string `yaml:"socket_group"`
	// TLS secures the TCP address.
	TLS TLSFiles `yaml:"tls"`

	// MaxConcurrentStreams is how many calls one connection may have in flight.
	MaxConcurrentStreams uint32 `yaml:"max_concurrent_streams"`
	// MaxHeaderBytes is the size of a request's header list as HTTP/2 counts it.
	MaxHeaderBytes uint32 `yaml:"max_header_bytes"`
	// MaxMessageBytes is the size of one request message, uncompressed.
	MaxMessageBytes int `yaml:"max_message_bytes"`
	// MaxDeadline is the longest deadline that callers may name; what the contract gives a method is always granted.
	MaxDeadline time.Duration `yaml:"max_deadline"`
	// ConnectionTimeout bounds the handshake of a new connection.
	ConnectionTimeout time.Duration `yaml:"connection_timeout"`
	// KeepaliveTime is after how long without traffic a connection is probed.
	KeepaliveTime time.Duration `yaml:"keepalive_time"`
	// KeepaliveTimeout is how long a probe may stay unanswered before the connection is closed. It is long, because PHP answers only
	// while it is inside of a call: a worker that rests between two requests, or works on what a stream has sent, is not gone.
	KeepaliveTimeout time.Duration `yaml:"keepalive_timeout"`
	// KeepaliveMinTime is how often clients may probe, also without calls in flight: PHP workers keep connections between requests.
	KeepaliveMinTime time.Duration `yaml:"keepalive_min_time"`
	// MaxConnectionIdle is after how long without calls a connection is closed. 0: never.
	MaxConnectionIdle time.Duration `yaml:"max_connection_idle"`
	// DrainTimeout is how long calls in flight may go on after a shutdown began.
	DrainTimeout time.Duration `yaml:"drain_timeout"`

	// Limits bound each project.
	Limits Limits `yaml:"limits"`
	// AccessLog is errors, all or off.
	AccessLog string `yaml:"access_log"`
	// Reflection lets tools such as grpcurl read the contract from the server.
	Reflection bool `yaml:"reflection"`
}

// Default returns the configuration of a server that nobody configured: loopback, with the limits on.
func Default() Config {
	return Config{
		Address:              "127.0.0.1:7070",
		SocketMode:           "0660",
		MaxConcurrentStreams: 1024,
		MaxHeaderBytes:       32 << 10,
		MaxMessageBytes:      8 << 20,
		MaxDeadline:          time.Minute,
		ConnectionTimeout:    10 * time.Second,
		KeepaliveTime:        time.Minute,
		KeepaliveTimeout:     10 * time.Minute,
		KeepaliveMinTime:     10 * time.Second,
		DrainTimeout:         20 * time.Second,
		Limits:               Limits{PerSecond: 200_000, Burst: 20_000, InFlight: 1024},
		AccessLog:            AccessLogErrors,
		Reflection:           true,
	}
}

// Validate returns all problems of the configuration, joined.
func (c Config) Validate() error {
	errs := []error{c.TLS.validate()}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Address != "" {
		errs = append(errs, c.validateAddress())
	}
	if _, err := c.socketMode(); err != nil {
		errs = append(errs, err)
	}
	if c.MaxConcurrentStreams < 1 {
		bad("max_concurrent_streams is 0, want at least 1")
	}
	if c.MaxHeaderBytes < 4<<10 || c.MaxHeaderBytes > 1<<20 {
		bad("max_header_bytes is %d, want 4096 to 1048576", c.MaxHeaderBytes)
	}
	if c.MaxMessageBytes < 1<<10 || c.MaxMessageBytes > 1<<30 {
		bad("max_message_bytes is %d, want 1024 to 1073741824", c.MaxMessageBytes)
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"max_deadline", c.MaxDeadline},
		{"connection_timeout", c.ConnectionTimeout},
		{"keepalive_time", c.KeepaliveTime},
		{"keepalive_timeout", c.KeepaliveTimeout},
		{"keepalive_min_time", c.KeepaliveMinTime},
		{"drain_timeout", c.DrainTimeout},
	} {
		if d.v <= 0 {
			bad("%s is %v, want more than 0", d.name, d.v)
		}
	}
	if c.MaxConnectionIdle < 0 {
		bad("max_connection_idle is %v, want 0 or more", c.MaxConnectionIdle)
	}
	if l := c.Limits; l.PerSecond < 0 || l.InFlight < 0 || l.PerSecond > 0 && l.Burst < 1 {
		bad("limits are %v per second, burst %d, %d in flight; want 0 or more, and a burst of at least 1", l.PerSecond, l.Burst, l.InFlight)
	}
	if c.AccessLog != AccessLogErrors && c.AccessLog != AccessLogAll && c.AccessLog != AccessLogOff {
		bad("access_log is %q, want errors, all or off", c.AccessLog)
	}
	return errors.Join(errs...)
}

func (c Config) validateAddress() error {
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return fmt.Errorf("address is %q, want HOST:PORT", c.Address)
	}
	if c.TLS.CertFile == "" && !isLoopback(host) {
		return errBeyondLoopback(c.Address)
	}
	return nil
}

func errBeyondLoopback(address string) error {
	return fmt.Errorf("address %s is reachable from other machines, and keys would travel in the clear: "+
		"set tls.cert_file and tls.key_file, or listen on 127.0.0.1", address)
}

// isLoopback reports whether a host of a listening address is this machine only. A name other than localhost may change its mind.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (c Config) socketMode() (fs.FileMode, error) {
	m, err := strconv.ParseUint(c.SocketMode, 8, 32)
	if err != nil || m > 0o777 {
		return 0, fmt.Errorf("socket_mode is %q, want octal digits such as 0660", c.SocketMode)
	}
	return fs.FileMode(m), nil
}
