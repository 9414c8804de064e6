package mesh_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/mesh"
)

func TestDrainEndsWatchesAndFinishesCalls(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 4), make(chan struct{})
	r := echoStream()
	r.route = func(context.Context, *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		entered <- struct{}{}
		<-leave
		return answer(), nil
	}
	watched := make(chan struct{}, 4)
	s := start(t, options{register: func(s *mesh.Server) {
		routingv1.RegisterRoutingServiceServer(s, r)
		modelsv1.RegisterModelServiceServer(s, &models{watch: func(w grpc.ServerStreamingServer[modelsv1.WatchDeploymentsResponse]) error {
			watched <- struct{}{}
			<-w.Context().Done()
			return w.Context().Err()
		}})
	}})
	ctx, cancel := context.WithTimeout(withKey(keyAll), time.Minute)
	defer cancel()
	var ends []chan error
	var watches []grpc.ServerStreamingClient[modelsv1.WatchDeploymentsResponse]
	for _, conn := range s.conns() {
		end := make(chan error, 1)
		ends = append(ends, end)
		go func() {
			_, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(ctx, inquiry())
			end <- err
		}()
		w, err := modelsv1.NewModelServiceClient(conn).WatchDeployments(ctx, &modelsv1.WatchDeploymentsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		watches = append(watches, w)
		<-entered
		<-watched
	}
	stream, err := routingv1.NewRoutingServiceClient(s.tcp).StreamRouteInquiry(ctx)
	if err != nil {
		t.Fatal(err)
	}
	exchange := func() {
		t.Helper()
		if err := stream.Send(&routingv1.StreamRouteInquiryRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	exchange()
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	for _, w := range watches {
		_, err := w.Recv() // ends although nobody closed it
		wantReason(t, err, "SHUTTING_DOWN")
	}
	exchange() // a stream that is being used goes on
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("stream ended with %v", err)
	}
	select {
	case <-stopped:
		t.Fatal("server ended with calls in flight")
	default:
	}
	close(leave)
	for _, end := range ends {
		if err := <-end; err != nil {
			t.Errorf("call in flight was dropped: %v", err)
		}
	}
	<-stopped
	_, err = routingv1.NewRoutingServiceClient(s.Conn()).RouteInquiry(ctx, inquiry())
	wantReason(t, err, "SHUTTING_DOWN")
}

func TestDrainGivesUpInTime(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	r := &router{route: func(ctx context.Context, _ *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	s := start(t, options{register: routing(r), config: func(c *mesh.Config) { c.DrainTimeout = 100 * time.Millisecond }})
	end := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(withKey(keyAll), time.Minute)
		defer cancel()
		_, err := routingv1.NewRoutingServiceClient(s.tcp).RouteInquiry(ctx, inquiry())
		end <- err
	}()
	<-entered
	begin := time.Now()
	s.stop()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("server took %v to end", took)
	}
	if err := <-end; err == nil {
		t.Error("call was answered")
	}
}

func TestUnixSocketHasItsModeAndGroup(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "s.sock")
	group := os.Getgid()
	if os.Getuid() == 0 {
		group = 65534 // only root may give the socket to a group that it is not in
	} else if groups, err := os.Getgroups(); err == nil && len(groups) > 0 {
		group = groups[len(groups)-1]
	}
	s := start(t, options{register: routing(echoRouter()), config: func(c *mesh.Config) {
		c.Address, c.Socket, c.SocketMode, c.SocketGroup = "", path, "0600", strconv.Itoa(group)
	}})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&os.ModeSocket == 0 {
		t.Fatalf("socket is %v, %v", info, err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Gid) != group {
		t.Errorf("socket belongs to %+v, want group %d", info.Sys(), group)
	}
	conn, err := mesh.Dial("unix:"+path, mesh.DialOptions{Key: keyAll})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(t.Context(), inquiry()); err != nil {
		t.Error(err)
	}
	second := newServer(t, func(c *mesh.Config) { c.Address, c.Socket = "", path })
	if err := second.Listen(); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second server on the socket: %v", err)
	}
	s.stop()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket is left behind: %v", err)
	}
}

func TestStaleSocketsAreReplacedAndFilesAreNot(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	stale, file := filepath.Join(dir, "s"), filepath.Join(dir, "f")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(l.Close(), os.WriteFile(file, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	start(t, options{config: func(c *mesh.Config) { c.Address, c.Socket = "", stale }})
	if err := newServer(t, func(c *mesh.Config) { c.Address, c.Socket = "", file }).Listen(); err == nil {
		t.Error("a file was replaced by a socket")
	}
}

func newServer(t *testing.T, config func(*mesh.Config)) *mesh.Server {
	t.Helper()
	c := mesh.Default()
	config(&c)
	s, err := mesh.NewServer(c, mesh.Deps{Authenticator: keyring{}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "m") //nolint:usetesting // names of sockets end at 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestNothingBeyondLoopbackWithoutTLS(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:7070", ":7070", "[::]:7070", "192.0.2.1:7070", "example.org:7070"} {
		c := mesh.Default()
		c.Address = address
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "tls.cert_file") {
			t.Errorf("%s without TLS: %v", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:7070", "[::1]:7070", ""} {
		c := mesh.Default()
		c.Address = address
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	err := mesh.Config{Address: "x", SocketMode: "rw", TLS: mesh.TLSFiles{CertFile: "c"}, Limits: mesh.Limits{PerSecond: 1}}.Validate()
	for _, want := range []string{
		"address", "socket_mode", "tls", "max_concurrent_streams", "max_header_bytes", "max_message_bytes", "max_deadline",
		"connection_timeout", "keepalive_time", "keepalive_timeout", "keepalive_min_time", "drain_timeout", "limits", "access_log",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("problem with %s is not reported: %v", want, err)
		}
	}
}

// authority issues certificates for tests.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := a.template("authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.key = a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) template(name string) *x509.Certificate {
	a.n++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return k
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue writes a certificate and returns the files, with this authority as the other side's.
func (a *authority) issue(name string) mesh.TLSFiles {
	a.t.Helper()
	key := a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, a.template(name), a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return mesh.TLSFiles{
		CertFile: a.write(name+".pem", "CERTIFICATE", der), KeyFile: a.write(name+".key", "EC PRIVATE KEY", keyDER),
		CAFile: filepath.Join(a.dir, "ca.pem"),
	}
}

func dial(t *testing.T, target string, o mesh.DialOptions) routingv1.RoutingServiceClient {
	t.Helper()
	conn, err := mesh.Dial(target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return routingv1.NewRoutingServiceClient(conn)
}

func TestTLSAndMutualTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	serverFiles := ours.issue("server")
	for name, mutual := range map[string]bool{"TLS": false, "mutual TLS": true} {
		files := serverFiles
		if !mutual {
			files.CAFile = ""
		}
		s := start(t, options{register: routing(echoRouter()), config: func(c *mesh.Config) { c.TLS = files }})
		target := s.Addr().String()
		try := func(o mesh.TLSFiles) error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := dial(t, target, mesh.DialOptions{TLS: o, Key: keyAll}).RouteInquiry(ctx, inquiry())
			return err
		}
		if err := try(ours.issue("client")); err != nil {
			t.Errorf("%s with a certificate: %v", name, err)
		}
		if err := try(mesh.TLSFiles{CAFile: serverFiles.CAFile}); (err != nil) != mutual {
			t.Errorf("%s without a certificate: %v", name, err)
		}
		stranger := theirs.issue("stranger")
		stranger.CAFile = serverFiles.CAFile
		if err := try(stranger); (err != nil) != mutual {
			t.Errorf("%s with a stranger's certificate: %v", name, err)
		}
		if err := try(mesh.TLSFiles{CAFile: filepath.Join(theirs.dir, "ca.pem")}); err == nil {
			t.Errorf("%s: client trusts a server of another authority", name)
		}
		if _, err := routingv1.NewRoutingServiceClient(plain(t, target)).RouteInquiry(withKey(keyAll), inquiry()); err == nil {
			t.Errorf("%s: plaintext was answered", name)
		}
	}
}

func TestCertificatesAreReadAgain(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	files := a.issue("server")
	ca := files.CAFile
	files.CAFile = ""
	s := start(t, options{register: routing(echoRouter()), config: func(c *mesh.Config) { c.TLS = files }})
	try := func(ca string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := dial(t, s.Addr().String(), mesh.DialOptions{TLS: mesh.TLSFiles{CAFile: ca}, Key: keyAll}).RouteInquiry(ctx, inquiry())
		return err
	}
	if err := try(ca); err != nil {
		t.Fatal(err)
	}
	renewed := other.issue("server")
	for from, to := range map[string]string{renewed.CertFile: files.CertFile, renewed.KeyFile: files.KeyFile} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; {
		err := try(renewed.CAFile)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the renewed certificate is not used: %v", err)
		}
	}
}

func TestKeysDoNotLeaveTheMachineInTheClear(t *testing.T) {
	t.Parallel()
	for target, ok := range map[string]bool{
		"127.0.0.1:1": true, "localhost:1": true, "unix:/x": true, "dns:///localhost:1": true, "[::1]:1": true,
		"models:7070": false, "dns:///models:7070": false, "192.0.2.1:7070": false,
	} {
		if conn, err := mesh.Dial(target, mesh.DialOptions{}); (err == nil) != ok {
			t.Errorf("dial %s in the clear: %v", target, err)
		} else if err == nil {
			_ = conn.Close()
		}
		conn, err := mesh.Dial(target, mesh.DialOptions{Plaintext: true})
		if err != nil {
			t.Errorf("dial %s where plaintext is allowed: %v", target, err)
			continue
		}
		_ = conn.Close()
	}
}
