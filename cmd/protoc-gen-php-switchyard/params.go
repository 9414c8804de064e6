package main

import (
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// params are the plugin's options, as in `--php-switchyard_opt=paths=psr4,manifest=`.
type params struct {
	namespacePrefix string            // put before namespaces that are derived from the package
	namespaces      map[string]string // PHP namespace by proto package; wins over everything
	namespaceRoot   string            // left out of file paths, for a PSR-4 root below the top
	sourceRelative  bool              // files go beside their .proto file instead of by namespace
	manifest        string            // path of the manifest; empty for none
	policyOption    protoreflect.FullName
}

func parseParams(s string) (params, error) {
	p := params{
		namespaces:   map[string]string{},
		manifest:     "manifest.php",
		policyOption: "switchyard.common.v1.policy",
	}
	for opt := range strings.SplitSeq(s, ",") {
		if opt = strings.TrimSpace(opt); opt == "" {
			continue
		}
		key, value, _ := strings.Cut(opt, "=")
		switch key {
		case "php_namespace_prefix":
			p.namespacePrefix = cleanNamespace(value)
		case "php_namespace":
			pkg, ns, ok := strings.Cut(value, ":")
			if !ok {
				return p, fmt.Errorf("option php_namespace: want <proto package>:<PHP namespace>, got %q", value)
			}
			p.namespaces[pkg] = cleanNamespace(ns)
		case "php_namespace_root":
			p.namespaceRoot = cleanNamespace(value)
		case "paths":
			switch value {
			case "psr4":
			case "source_relative":
				p.sourceRelative = true
			default:
				return p, fmt.Errorf("option paths: want psr4 or source_relative, got %q", value)
			}
		case "manifest":
			p.manifest = value
		case "policy_option":
			p.policyOption = protoreflect.FullName(value)
		default:
			return p, fmt.Errorf("unknown option %q", key)
		}
	}
	return p, nil
}

// cleanNamespace accepts \, \\, / and . between segments: backslashes rarely survive a shell and YAML.
func cleanNamespace(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\\' || r == '/' || r == '.' }), `\`)
}

// path is where a class of a .proto file goes in the output.
func (p params) path(fd protoreflect.FileDescriptor, c class) string {
	if p.sourceRelative {
		rel := strings.TrimPrefix(strings.TrimPrefix(c.String(), c.base), `\`)
		return path.Join(path.Dir(fd.Path()), strings.ReplaceAll(rel, `\`, "/")+".php")
	}
	full := c.String()
	if p.namespaceRoot != "" {
		full = strings.TrimPrefix(full, p.namespaceRoot+`\`)
	}
	return strings.ReplaceAll(full, `\`, "/") + ".php"
}
