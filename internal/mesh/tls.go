package mesh

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// TLSFiles are the PEM files of one side of a connection. They are read again when they change, so that certificates can be renewed
// while the process runs.
type TLSFiles struct {
	// CertFile holds the certificate chain. Empty: no TLS on a server, no client certificate on a client.
	CertFile string `yaml:"cert_file"`
	// KeyFile holds the certificate's private key.
	KeyFile string `yaml:"key_file"`
	// CAFile holds the authorities that the other side's certificate must come from. On a server it makes client certificates
	// mandatory (mutual TLS); on a client empty means those of the system.
	CAFile string `yaml:"ca_file"`
}

func (f TLSFiles) validate() error {
	if (f.CertFile == "") != (f.KeyFile == "") {
		return errors.New("tls: cert_file and key_file go together")
	}
	return nil
}

// recheck is how often the files are looked at, at most, and only when somebody connects.
const recheck = time.Second

// keyring holds what the files said when they were read last.
type keyring struct {
	files TLSFiles
	mu    sync.Mutex
	seen  time.Time
	stamp string
	cert  *tls.Certificate
	pool  *x509.CertPool
}

func openKeyring(f TLSFiles) (*keyring, error) {
	k := &keyring{files: f}
	if err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// current returns the certificate and the pool, read again if the files changed. Files that cannot be read, as in the middle of a
// renewal, leave the old ones in force.
func (k *keyring) current() (*tls.Certificate, *x509.CertPool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); now.Sub(k.seen) >= recheck {
		k.seen = now
		if stamp := k.fingerprint(); stamp != k.stamp {
			_ = k.load()
		}
	}
	return k.cert, k.pool
}

func (k *keyring) fingerprint() string {
	var s strings.Builder
	for _, name := range []string{k.files.CertFile, k.files.KeyFile, k.files.CAFile} {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			fmt.Fprint(&s, info.ModTime().UnixNano(), ":", info.Size(), ";")
		}
	}
	return s.String()
}

func (k *keyring) load() error {
	stamp := k.fingerprint() // before reading: a change during it is then seen next time
	var cert *tls.Certificate
	if k.files.CertFile != "" {
		c, err := tls.LoadX509KeyPair(k.files.CertFile, k.files.KeyFile)
		if err != nil {
			return fmt.Errorf("load certificate: %w", err)
		}
		cert = &c
	}
	var pool *x509.CertPool
	if k.files.CAFile != "" {
		pem, err := os.ReadFile(k.files.CAFile)
		if err != nil {
			return fmt.Errorf("load certificate authorities: %w", err)
		}
		pool = x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return fmt.Errorf("load certificate authorities: no certificate in %s", k.files.CAFile)
		}
	}
	k.cert, k.pool, k.stamp, k.seen = cert, pool, stamp, time.Now()
	return nil
}

// server returns the configuration of the accepting side.
func (k *keyring) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			cert, pool := k.current()
			c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{*cert}}
			if pool != nil {
				c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool
			}
			return c, nil
		},
	}
}

// client returns the configuration of the dialling side. The authorities are those of now: grpc-go makes one configuration per channel.
func (k *keyring) client(serverName string) *tls.Config {
	_, pool := k.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		ServerName: serverName,
		RootCAs:    pool,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if cert, _ := k.current(); cert != nil {
				return cert, nil
			}
			return &tls.Certificate{}, nil
		},
	}
}
