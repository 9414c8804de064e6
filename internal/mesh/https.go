package mesh

import "crypto/tls"

// HTTPServer returns the TLS configuration for an HTTP server with these files, renewed as those of a gRPC server are.
func (f TLSFiles) HTTPServer() (*tls.Config, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	k, err := openKeyring(f)
	if err != nil {
		return nil, err
	}
	config := k.server()
	ours := config.GetConfigForClient
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := ours(hello)
		if err == nil {
			c.NextProtos = []string{"h2", "http/1.1"}
		}
		return c, err
	}
	return config, nil
}
