// Package config reads one YAML file and the environment into a struct whose sections belong to the packages that they
// configure. It is strict: an unknown key, an unset variable or a value of the wrong type is an error that names its place.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// Prefix begins the names of all environment variables that override the file.
const Prefix = "SWITCHYARD_"

// Load reads the file, if path is not empty, and then the environment into dst, a pointer to a struct that holds the
// defaults. environ is a list of NAME=value, as os.Environ returns it. The warnings name variables that look like overrides and match nothing.
func Load(path string, environ []string, dst any) (warnings []string, err error) {
	env := toMap(environ)
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		if err := decode(data, env, dst); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return override(env, dst)
}

// decode expands variables and decodes strictly.
func decode(data []byte, env map[string]string, dst any) error {
	expanded, err := expand(data, env)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(expanded)) == 0 {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(expanded), yaml.Strict(), yaml.DisallowUnknownField())
	if err := dec.Decode(dst); err != nil {
		return errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return nil
}

// variable is ${NAME} or ${NAME:-default}; $${ stands for a literal ${.
var variable = regexp.MustCompile(`\$?\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// expand replaces variables outside of comments.
func expand(data []byte, env map[string]string) ([]byte, error) {
	var errs []error
	lines := bytes.Split(data, []byte("\n"))
	for i, line := range lines {
		if bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) {
			continue
		}
		lines[i] = variable.ReplaceAllFunc(line, func(match []byte) []byte {
			if bytes.HasPrefix(match, []byte("$${")) {
				return match[1:]
			}
			parts := variable.FindSubmatch(match)
			if value, ok := env[string(parts[1])]; ok {
				return []byte(value)
			}
			if len(parts[2]) > 0 {
				return parts[3]
			}
			errs = append(errs, fmt.Errorf("line %d: environment variable %s is not set; write ${%s:-default} to give a default", i+1, parts[1], parts[1]))
			return match
		})
	}
	return bytes.Join(lines, []byte("\n")), errors.Join(errs...)
}

func toMap(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}
