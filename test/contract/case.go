// Package contract runs the YAML cases beside it over every transport and compares the answers.
package contract

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// The contracts that cases may call.
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
)

// Case is one call and what it must answer. README.md describes the members.
type Case struct {
	Name    string       `yaml:"name"`
	Call    string       `yaml:"call"`
	Key     string       `yaml:"key"`
	Request any          `yaml:"request"`
	Want    any          `yaml:"want"`
	Error   *ErrorAnswer `yaml:"error"`

	method protoreflect.MethodDescriptor
}

// ErrorAnswer is a refusal, as every transport shows it.
type ErrorAnswer struct {
	Code    string `yaml:"code" json:"code"`
	Reason  string `yaml:"reason" json:"reason"`
	HTTP    int    `yaml:"http" json:"-"`
	Field   string `yaml:"field" json:"field"`
	Message string `yaml:"message" json:"message"`
}

// Answer is what a door gave: messages as decoded JSON, or an error after them.
type Answer struct {
	Messages []any        `json:"messages"`
	Error    *ErrorAnswer `json:"error"`
}

// Load reads the cases of every YAML file in the folder, by file name.
func Load(dir string, vars map[string]string) (map[string][]Case, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no cases in %s", dir)
	}
	files := map[string][]Case{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var cases []Case
		if err := yaml.UnmarshalWithOptions([]byte(substitute(string(data), vars)), &cases, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		for i := range cases {
			if err := cases[i].resolve(); err != nil {
				return nil, fmt.Errorf("read %s: case %q: %w", path, cases[i].Name, err)
			}
		}
		files[strings.TrimSuffix(filepath.Base(path), ".yaml")] = cases
	}
	return files, nil
}

func substitute(text string, vars map[string]string) string {
	for name, value := range vars {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	return text
}

func (c *Case) resolve() error {
	service, method, ok := strings.Cut(c.Call, "/")
	if !ok {
		return fmt.Errorf("call %q is not package.Service/Method", c.Call)
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return fmt.Errorf("find %s: %w", service, err)
	}
	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return fmt.Errorf("%s is not a service", service)
	}
	if c.method = s.Methods().ByName(protoreflect.Name(method)); c.method == nil {
		return fmt.Errorf("%s has no method %s", service, method)
	}
	if (c.Want == nil) == (c.Error == nil) {
		return fmt.Errorf("needs want or error, and not both")
	}
	return nil
}

// Requests returns the request messages as JSON: one, or several for client streams.
func (c *Case) Requests() ([][]byte, error) {
	list := []any{c.Request}
	if c.method.IsStreamingClient() {
		var ok bool
		if list, ok = c.Request.([]any); !ok {
			return nil, fmt.Errorf("the request of a stream must be a list")
		}
	}
	out := make([][]byte, len(list))
	for i, r := range list {
		data, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}
