package egress_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/services/events/egress"
)

// trap listens where nobody may connect, and counts who does.
func trap(t *testing.T, network, address string) (port string, connections *atomic.Int64) {
	t.Helper()
	connections = &atomic.Int64{}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	if err != nil {
		t.Skipf("cannot listen on %s: %v", address, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = c.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, connections
}

func TestHostileURLsMakeNoConnection(t *testing.T) {
	t.Parallel()
	port, connections := trap(t, "tcp", ":0") // on every address of this machine, of both families
	names := startDNS(t, map[string][]string{
		"inside.example.": {"127.0.0.1"}, "inside6.example.": {"::1"}, "mapped.example.": {"::ffff:127.0.0.1"}, "metadata.example.": {"169.254.169.254"},
		"private.example.": {"10.0.0.1"}, "cgnat.example.": {"100.100.100.200"}, "ula.example.": {"fd00:ec2::254"},
		"nat64.example.": {"64:ff9b::7f00:1"}, "sixtofour.example.": {"2002:7f00:1::"}, "all.example.": {"0.0.0.0"}, "all6.example.": {"::"},
		"linklocal.example.": {"fe80::1"}, "multicast.example.": {"224.0.0.1"}, "broadcast.example.": {"255.255.255.255"}, "azure.example.": {"168.63.129.16"},
		"2130706433.": {"127.0.0.1"}, "0x7f.1.": {"127.0.0.1"}, "localhost.": {"127.0.0.1"},
	})
	policy := egress.Policy{AllowHTTP: true}
	client := policy.Client(egress.Options{Timeout: 5 * time.Second, Resolver: names.resolver()})
	hosts := []string{
		"127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "017700000001", "0177.0.0.1", "0177.0.0.01", "00000177.1", "127.0.0.1.", "0", "0.0.0.0", "0x0",
		"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]",
		"[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[fec0::1]", "[100::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[::1%25lo]",
		"169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]",
		"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "0.1.2.3",
		"localhost", "LOCALHOST", "localhost.",
		"inside.example", "inside6.example", "mapped.example", "metadata.example", "private.example", "cgnat.example", "ula.example", "nat64.example", "sixtofour.example", "all.example", "all6.example",
		"linklocal.example", "multicast.example", "broadcast.example", "azure.example",
		"①②⑦.⓪.⓪.①", "127。0。0。1", "127.0.0.1%00.example", "exa mple", "a..b", "-", strings.Repeat("a", 64) + ".example",
	}
	for _, host := range hosts {
		for _, u := range []string{"http://" + host + ":" + port + "/", "https://" + host + ":" + port + "/hook"} {
			refuse(t, policy, client, u)
		}
	}
	for _, u := range []string{
		"ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "unix:/run/x.sock", "//127.0.0.1/", "http:127.0.0.1", "http:///x", "https://", "javascript:alert(1)",
		"https://user:secret@example.com/", "https://example.com@127.0.0.1:" + port + "/", "https://127.0.0.1:" + port + "#@example.com/", "https://example.com\\@127.0.0.1:" + port + "/", "http://127.0.0.1:" + port + "\\@example.com",
		"https://example.com:0/", "https://example.com:/", "https://exa\tmple.com/", "https://example.com/\r\nHost: x", "HTTP://127.0.0.1:" + port, "https://[::1", "https://[127.0.0.1]:" + port + "/", "https://[v1.x]/",
	} {
		refuse(t, policy, client, u)
	}
	for name := range names.names { // each but a number resolves, and is refused for what it resolves to
		if name == "2130706433." {
			continue
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+name+":"+port+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		if !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Fatalf("%d connections were made", n)
	}
	// The trap works: who is allowed gets in.
	open := egress.Policy{AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://inside.example.:"+port+"/", http.NoBody)
	if res, err := open.Client(egress.Options{Timeout: 5 * time.Second, Resolver: names.resolver()}).Do(req); err == nil {
		_ = res.Body.Close()
	}
	if connections.Load() == 0 {
		t.Error("nobody gets into the trap, so that it proves nothing")
	}
	if err := (egress.Policy{}).Addr(netip.MustParseAddr("93.184.216.34")); err != nil {
		t.Errorf("a public address: %v", err)
	}
	if err := (egress.Policy{}).Addr(netip.MustParseAddr("2606:4700::1111")); err != nil {
		t.Errorf("a public address: %v", err)
	}
}

// refuse checks that a URL is refused when it is given, or else when it is called.
func refuse(t *testing.T, policy egress.Policy, client *http.Client, raw string) {
	t.Helper()
	if _, err := policy.URL(raw); err != nil {
		if !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v", raw, err)
		}
		// Even when it were not refused here, calling it must not connect.
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, raw, http.NoBody)
	if err != nil {
		return // not even a URL
	}
	res, err := client.Do(req)
	if err == nil {
		_ = res.Body.Close()
		t.Errorf("%s was called", raw)
		return
	}
	var dns *net.DNSError
	if !errors.Is(err, egress.ErrForbidden) && !errors.As(err, &dns) {
		if _, urlErr := policy.URL(raw); urlErr == nil {
			t.Errorf("%s passes and then fails with %v, which does not say that it is forbidden", raw, err)
		}
	}
}

func TestURLsInUnusualFormsAreRefusedWhenTheyAreGiven(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.1", "2130706433", "0x7f000001", "0X7F.1", "0177.0.0.1", "127.0.0.1.", "a.0x7f", "1.2.3", "example.com.1"} {
		if _, err := (egress.Policy{}).URL("https://" + host + "/"); !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, u := range []string{"https://example.com/hook", "https://example.com:8443/a?b=c", "https://93.184.216.34/", "https://[2606:4700::1111]/", "https://hooks.example.co.uk./x", "https://xn--bcher-kva.example/", "https://a-1.example/%20"} {
		if _, err := (egress.Policy{}).URL(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	if _, err := (egress.Policy{}).URL("http://example.com/"); !errors.Is(err, egress.ErrForbidden) {
		t.Error("http was taken without being allowed")
	}
}

// A name that answers with a public address when it is looked at, and with ours when it is called, leads nowhere: the address is looked at when it is called.
func TestANameThatChangesItsAddressLeadsNowhere(t *testing.T) {
	t.Parallel()
	port, connections := trap(t, "tcp", "127.0.0.1:0")
	names := startDNS(t, map[string][]string{"rebind.example.": {"93.184.216.34", "127.0.0.1"}})
	policy := egress.Policy{AllowHTTP: true}
	r := names.resolver()
	addrs, err := r.LookupNetIP(t.Context(), "ip4", "rebind.example.")
	if err != nil || policy.Addr(addrs[0]) != nil {
		t.Fatalf("the first answer is to be harmless: %v %v", addrs, err)
	}
	client := policy.Client(egress.Options{Timeout: 5 * time.Second, Resolver: r})
	for range 5 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://rebind.example.:"+port+"/", http.NoBody)
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		if !errors.Is(err, egress.ErrForbidden) {
			t.Fatalf("got %v", err)
		}
	}
	if connections.Load() != 0 || names.asked.Load() < 2 {
		t.Fatalf("%d connections, %d questions", connections.Load(), names.asked.Load())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer target.Close()
	front := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusTemporaryRedirect))
	defer front.Close()
	policy := egress.Policy{AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL, strings.NewReader("x"))
	res, err := policy.Client(egress.Options{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusTemporaryRedirect || reached.Load() != 0 {
		t.Fatalf("status %d, the target was reached %d times", res.StatusCode, reached.Load())
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	var used atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { used.Add(1) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	policy := egress.Policy{AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://10.0.0.1/", http.NoBody)
	res, err := policy.Client(egress.Options{Timeout: 5 * time.Second}).Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	if !errors.Is(err, egress.ErrForbidden) || used.Load() != 0 {
		t.Fatalf("%v, proxy used %d times", err, used.Load())
	}
}

func TestTheAllowListOpensOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	p := egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for addr, allowed := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": false, "8.8.8.8": true} {
		if err := p.Addr(netip.MustParseAddr(addr)); (err == nil) != allowed {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("https://example.com/")
	f.Add("https://0x7f.1/")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := (egress.Policy{}).URL(raw)
		if err != nil {
			return
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Hostname() != u.Hostname() || again.Scheme != "https" {
			t.Fatalf("%q reads differently the second time", raw)
		}
	})
}

// dns is a name server; a name with several addresses has the first one at the first question and the last one from then on.
type dns struct {
	conn  net.PacketConn
	asked atomic.Int64
	mu    sync.Mutex
	names map[string][]string
}

func startDNS(t *testing.T, names map[string][]string) *dns {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d := &dns{conn: conn, names: names}
	go d.serve()
	return d
}

func (d *dns) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", d.conn.LocalAddr().String())
	}}
}

func (d *dns) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := d.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := d.answer(buf[:n]); answer != nil {
			_, _ = d.conn.WriteTo(answer, from)
		}
	}
}

// answer reads one question and answers it: A and AAAA as the table says, anything else with nothing.
func (d *dns) answer(q []byte) []byte {
	name, end := "", 12
	for end < len(q) && q[end] != 0 {
		l := int(q[end])
		name += string(q[end+1:end+1+l]) + "."
		end += l + 1
	}
	end += 5
	if end > len(q) {
		return nil
	}
	kind := binary.BigEndian.Uint16(q[end-4:])
	out := append([]byte{}, q[:end]...)
	out[2], out[3] = 0x81, 0x80
	for i := 6; i < 12; i++ {
		out[i] = 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	addrs := d.names[strings.ToLower(name)]
	if len(addrs) == 0 {
		out[3] = 0x83 // no such name
		return out
	}
	a := netip.MustParseAddr(addrs[0])
	if is4 := a.Is4(); is4 && kind != 1 || !is4 && kind != 28 {
		return out
	}
	d.asked.Add(1)
	if len(addrs) > 1 {
		d.names[strings.ToLower(name)] = addrs[1:]
	}
	out[7] = 1
	out = append(out, 0xc0, 12)
	out = binary.BigEndian.AppendUint16(out, kind)
	out = binary.BigEndian.AppendUint16(out, 1)
	out = binary.BigEndian.AppendUint32(out, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(len(a.AsSlice())))
	return append(out, a.AsSlice()...)
}
