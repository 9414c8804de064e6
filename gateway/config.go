package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config is the section "gateway" of the configuration file.
type Config struct {
	// MaxBodyBytes bounds a request body after decompression, 1 KiB to 64 MiB; for streams it bounds one line.
	MaxBodyBytes int64 `yaml:"max_body_bytes"`
	// MaxHeaderBytes bounds the request header, 1 KiB to 1 MiB.
	MaxHeaderBytes int `yaml:"max_header_bytes"`
	// ReadHeaderTimeout bounds the wait for a request header.
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout"`
	// IdleTimeout closes connections without requests.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// AllowedOrigins are the origins that browsers may call from (CORS), such as "https://shop.example"; none by default.
	AllowedOrigins []string `yaml:"allowed_origins"`
	// GzipMinBytes is the size from which answers are compressed for clients that accept it; 0 turns compression off.
	GzipMinBytes int `yaml:"gzip_min_bytes"`
}

// Default returns the configuration that holds when nothing is said.
func Default() Config {
	return Config{
		MaxBodyBytes:      8 << 20,
		MaxHeaderBytes:    32 << 10,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		GzipMinBytes:      2048,
	}
}

// Validate returns everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.MaxBodyBytes < 1<<10 || c.MaxBodyBytes > 64<<20 {
		errs = append(errs, fmt.Errorf("max_body_bytes is %d, allowed are %d to %d", c.MaxBodyBytes, 1<<10, 64<<20))
	}
	if c.MaxHeaderBytes < 1<<10 || c.MaxHeaderBytes > 1<<20 {
		errs = append(errs, fmt.Errorf("max_header_bytes is %d, allowed are %d to %d", c.MaxHeaderBytes, 1<<10, 1<<20))
	}
	if c.ReadHeaderTimeout <= 0 {
		errs = append(errs, errors.New("read_header_timeout must be above 0"))
	}
	if c.IdleTimeout <= 0 {
		errs = append(errs, errors.New("idle_timeout must be above 0"))
	}
	if c.GzipMinBytes < 0 {
		errs = append(errs, errors.New("gzip_min_bytes must not be below 0"))
	}
	for _, origin := range c.AllowedOrigins {
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			errs = append(errs, fmt.Errorf("allowed_origins: %q is not an origin such as https://shop.example", origin))
		}
	}
	return errors.Join(errs...)
}
