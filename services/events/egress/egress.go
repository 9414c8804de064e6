// Package egress calls servers that customers name, and no others. What counts is the address that a connection is about to be made to: it is looked at after names are resolved and
// before the connection is opened, for every connection, so that neither a name that points inside, nor one that points somewhere else the second time, nor an unusual way to write an
// address leads into the network that this process runs in. Redirects are not followed, proxies are not used.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ErrForbidden means that an address or URL may not be called. No connection was made.
var ErrForbidden = errors.New("address may not be called")

// Policy says what may be called.
type Policy struct {
	// Allow are networks that may be called although they are not public, such as those of receivers in the same cluster.
	Allow []netip.Prefix
	// AllowHTTP lets URLs begin with http: too.
	AllowHTTP bool
}

// forbidden are the networks that are not public, or lead to others that are not. Those of IPv6 are looked at only within 2000::/3: everything else is forbidden.
var forbidden = prefixes(
	"0.0.0.0/8",         // this host
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // carriers (CGNAT), metadata of some clouds
	"127.0.0.0/8",       // loopback
	"168.63.129.16/32",  // metadata of Azure
	"169.254.0.0/16",    // link-local, metadata of most clouds
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments, metadata of Oracle
	"192.0.2.0/24",      // documentation
	"192.31.196.0/24",   // AS112
	"192.52.193.0/24",   // AMT
	"192.88.99.0/24",    // 6to4 relays
	"192.168.0.0/16",    // private
	"192.175.48.0/24",   // AS112
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, broadcast
	"2001::/23",         // protocol assignments, Teredo, ORCHID
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4: holds an IPv4 address
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
)

var publicIPv6 = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Addr returns nil when an address may be called, else an error that is ErrForbidden.
func (p Policy) Addr(a netip.Addr) error {
	if a.Zone() != "" {
		return fmt.Errorf("%w: %s has a zone", ErrForbidden, a)
	}
	a = a.Unmap() // ::ffff:10.0.0.1 is 10.0.0.1
	for _, n := range p.Allow {
		if n.Contains(a) {
			return nil
		}
	}
	if a.Is6() && !publicIPv6.Contains(a) {
		return fmt.Errorf("%w: %s is not public", ErrForbidden, a)
	}
	for _, n := range forbidden {
		if n.Contains(a) {
			return fmt.Errorf("%w: %s is not public", ErrForbidden, a)
		}
	}
	return nil
}

// URL refuses what can be refused without resolving a name. What it lets through is looked at again when a connection is made.
func (p Policy) URL(raw string) (*url.URL, error) {
	for _, c := range []byte(raw) {
		if c <= ' ' || c >= 0x7f || c == '\\' {
			return nil, fmt.Errorf("%w: the URL holds a byte that has to be encoded", ErrForbidden)
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: not a URL", ErrForbidden)
	}
	host := u.Hostname()
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !p.AllowHTTP):
		return nil, fmt.Errorf("%w: the scheme is %q, want https", ErrForbidden, u.Scheme)
	case u.Opaque != "" || host == "":
		return nil, fmt.Errorf("%w: the URL has no host", ErrForbidden)
	case u.User != nil:
		return nil, fmt.Errorf("%w: the URL holds a user", ErrForbidden)
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%w: the URL has a fragment", ErrForbidden)
	case u.Port() == "0" || strings.HasSuffix(u.Host, ":"):
		return nil, fmt.Errorf("%w: the port is missing", ErrForbidden)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return u, p.Addr(a)
	}
	return u, checkName(host)
}

// checkName refuses hosts that are no names. Resolvers take a host that ends in a number for an IPv4 address in one of its many forms: 2130706433, 0x7f.1, 0177.0.0.1.
func checkName(host string) error {
	if len(host) > 253 {
		return fmt.Errorf("%w: the host is too long", ErrForbidden)
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return fmt.Errorf("%w: the host is not a name", ErrForbidden)
		}
	}
	last := strings.ToLower(labels[len(labels)-1])
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == "" {
		return fmt.Errorf("%w: the host is an address in an unusual form", ErrForbidden)
	}
	return nil
}

// Options are what a client needs beside the policy.
type Options struct {
	// Timeout bounds one call, with the name's resolution and the answer's body.
	Timeout time.Duration
	// Resolver resolves names; nil for the system's.
	Resolver *net.Resolver
	// Roots are the certificates that receivers' must descend from; nil for the system's.
	Roots *x509.CertPool
}

// maxHeader bounds the headers of an answer.
const maxHeader = 16 << 10

// Client returns a client that calls only what the policy allows. It follows no redirect: an answer with one is an answer like others.
func (p Policy) Client(o Options) *http.Client {
	dialer := &net.Dialer{
		Timeout: o.Timeout, Resolver: o.Resolver,
		// Called for every connection, after the resolution and before the connect: what is looked at here is what is called.
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") {
				return fmt.Errorf("%w: network %s", ErrForbidden, network)
			}
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %s", ErrForbidden, address)
			}
			return p.Addr(ap.Addr())
		},
	}
	return &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:       nil, // a proxy would resolve and connect in our stead
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: o.Timeout, ResponseHeaderTimeout: o.Timeout, MaxResponseHeaderBytes: maxHeader,
			MaxIdleConns: 100, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true, DisableCompression: true,
		},
	}
}
