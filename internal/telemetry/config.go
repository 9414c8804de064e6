package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
)

// Formats of log lines.
const (
	FormatJSON = "json"
	FormatText = "text"
)

// Config says what is logged, measured and traced.
type Config struct {
	// LogLevel is the lowest level that is written: debug, info, warn or error.
	LogLevel string `yaml:"log_level"`
	// LogFormat is json or text.
	LogFormat string `yaml:"log_format"`
	// OTLPEndpoint is where traces go by OTLP over gRPC, such as "http://127.0.0.1:4317"; https uses TLS. Empty: no tracing.
	OTLPEndpoint string `yaml:"otlp_endpoint"`
	// TraceRatio is the share of calls without a sampled parent that are traced, 0 to 1.
	TraceRatio float64 `yaml:"trace_ratio"`
	// ServiceName is the name under which this process appears in traces and metrics.
	ServiceName string `yaml:"service_name"`
}

// Default returns the configuration of a process that nobody configured: JSON lines from info on, no tracing.
func Default() Config {
	return Config{LogLevel: "info", LogFormat: FormatJSON, TraceRatio: 0.01, ServiceName: "switchyard"}
}

// Validate returns all problems of the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.LogLevel)); err != nil {
		errs = append(errs, fmt.Errorf("log_level is %q, want debug, info, warn or error", c.LogLevel))
	}
	if c.LogFormat != FormatJSON && c.LogFormat != FormatText {
		errs = append(errs, fmt.Errorf("log_format is %q, want %s or %s", c.LogFormat, FormatJSON, FormatText))
	}
	if c.OTLPEndpoint != "" {
		u, err := url.Parse(c.OTLPEndpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			errs = append(errs, fmt.Errorf("otlp_endpoint is %q, want http://HOST:PORT or https://HOST:PORT", c.OTLPEndpoint))
		}
	}
	if !(c.TraceRatio >= 0 && c.TraceRatio <= 1) {
		errs = append(errs, fmt.Errorf("trace_ratio is %v, want 0 to 1", c.TraceRatio))
	}
	if c.ServiceName == "" {
		errs = append(errs, errors.New("service_name is empty"))
	}
	return errors.Join(errs...)
}

func (c Config) level() slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(c.LogLevel)) // Validate reports it; the zero level is info
	return l
}
