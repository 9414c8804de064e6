package gateway

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/switchyard-ai/switchyard/gen"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

//go:embed page/reference.html page/reference.css
var pageFiles embed.FS

// registerPages serves the OpenAPI document and the API reference, both from the binary.
func registerPages(mux *http.ServeMux, rs *routes) {
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		document, err := gen.OpenAPI()
		if err != nil {
			writeText(w, http.StatusInternalServerError, "the OpenAPI document cannot be read\n")
			return
		}
		w.Header().Set("Content-Type", jsonType)
		_, _ = w.Write(document)
	})
	reference := sync.OnceValues(func() ([]byte, error) { return renderReference(rs) })
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		page, err := reference()
		if err != nil {
			writeText(w, http.StatusInternalServerError, "the API reference cannot be rendered\n")
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("GET /docs/reference.css", func(w http.ResponseWriter, _ *http.Request) {
		css, _ := pageFiles.ReadFile("page/reference.css")
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(css)
	})
	mux.Handle("GET /{$}", http.RedirectHandler("/docs", http.StatusFound))
}

// The reference page, as its template sees it.
type (
	referencePage struct {
		Services []serviceEntry
		Messages []messageEntry
		Enums    []enumEntry
	}
	serviceEntry struct {
		Name, Doc string
		Methods   []methodEntry
	}
	methodEntry struct {
		Name, FullName, Doc, HTTPMethod, Path string
		Scope, Timeout                        string
		Idempotent, ClientStream, Stream      bool
		Request, Response                     string
	}
	messageEntry struct {
		Name, Doc string
		Fields    []fieldEntry
	}
	fieldEntry struct{ Name, Type, Link, Doc string }
	enumEntry  struct {
		Name, Doc string
		Values    []fieldEntry
	}
)

// renderReference builds the page from the descriptors, whose comments are the documentation.
func renderReference(rs *routes) ([]byte, error) {
	files, err := describedFiles()
	if err != nil {
		return nil, err
	}
	tmpl, err := template.New("reference.html").Funcs(template.FuncMap{"paragraphs": paragraphs}).ParseFS(pageFiles, "page/reference.html")
	if err != nil {
		return nil, err
	}
	page := referencePage{}
	for _, file := range files {
		for i := range file.Services().Len() {
			page.Services = append(page.Services, describeService(rs, file.Services().Get(i)))
		}
		for i := range file.Messages().Len() {
			page.Messages = append(page.Messages, describeMessage(file.Messages().Get(i)))
		}
		for i := range file.Enums().Len() {
			page.Enums = append(page.Enums, describeEnum(file.Enums().Get(i)))
		}
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, page)
	return out.Bytes(), err
}

// describedFiles returns the contracts with comments, the operations first.
func describedFiles() ([]protoreflect.FileDescriptor, error) {
	var set descriptorpb.FileDescriptorSet
	described, err := gen.Descriptors()
	if err != nil {
		return nil, fmt.Errorf("unpack the descriptors of the contracts: %w", err)
	}
	if err := proto.Unmarshal(described, &set); err != nil {
		return nil, fmt.Errorf("read the descriptors of the contracts: %w", err)
	}
	var files []protoreflect.FileDescriptor
	for _, f := range set.File {
		// What a file imports is compiled in; only its own comments are missing there.
		file, err := protodesc.NewFile(f, protoregistry.GlobalFiles)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.GetName(), err)
		}
		files = append(files, file)
	}
	order := []string{"moderation", "routing", "classification", "decisions", "review", "models", "monitoring", "training", "jobs", "events", "identity", "common"}
	rank := func(f protoreflect.FileDescriptor) int {
		return slices.Index(order, strings.Split(string(f.Package()), ".")[1])
	}
	slices.SortStableFunc(files, func(a, b protoreflect.FileDescriptor) int { return rank(a) - rank(b) })
	return files, nil
}

func describeService(rs *routes, s protoreflect.ServiceDescriptor) serviceEntry {
	entry := serviceEntry{Name: string(s.Name()), Doc: comment(s)}
	for i := range s.Methods().Len() {
		m := s.Methods().Get(i)
		e := methodEntry{
			Name: string(m.Name()), FullName: string(m.FullName()), Doc: comment(m),
			ClientStream: m.IsStreamingClient(), Stream: m.IsStreamingServer(),
			Request: string(m.Input().Name()), Response: string(m.Output().Name()),
		}
		if j := slices.IndexFunc(rs.all, func(r *route) bool { return r.rpc.FullName() == m.FullName() }); j >= 0 {
			r := rs.all[j]
			e.HTTPMethod, e.Path = r.httpMethod, r.path
			e.describePolicy(r.policy)
		}
		entry.Methods = append(entry.Methods, e)
	}
	return entry
}

func (e *methodEntry) describePolicy(p *commonv1.MethodPolicy) {
	e.Scope, e.Idempotent = p.GetScope(), p.GetIdempotent()
	if p.GetAnyKey() {
		e.Scope = "any key"
	}
	e.Timeout = p.GetTimeout().AsDuration().String()
}

func describeMessage(m protoreflect.MessageDescriptor) messageEntry {
	entry := messageEntry{Name: string(m.Name()), Doc: comment(m)}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		e := fieldEntry{Name: f.JSONName(), Doc: comment(f)}
		e.Type, e.Link = typeName(f)
		entry.Fields = append(entry.Fields, e)
	}
	return entry
}

func describeEnum(d protoreflect.EnumDescriptor) enumEntry {
	entry := enumEntry{Name: string(d.Name()), Doc: comment(d)}
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		entry.Values = append(entry.Values, fieldEntry{Name: string(v.Name()), Type: fmt.Sprint(v.Number()), Doc: comment(v)})
	}
	return entry
}

// typeName returns the JSON type of a field and the anchor of its description, if it has one.
func typeName(f protoreflect.FieldDescriptor) (name, link string) {
	if f.IsMap() {
		value, link := typeName(f.MapValue())
		return "object of " + value, link
	}
	switch f.Kind() {
	case protoreflect.MessageKind:
		name = string(f.Message().Name())
		if strings.HasPrefix(string(f.Message().FullName()), "switchyard.") {
			link = name
		}
	case protoreflect.EnumKind:
		name = string(f.Enum().Name())
		link = name
	case protoreflect.Int64Kind, protoreflect.Uint64Kind:
		name = f.Kind().String() + " (as string)"
	case protoreflect.BytesKind:
		name = "bytes (base64)"
	default:
		name = f.Kind().String()
	}
	if f.IsList() {
		name = "list of " + name
	}
	return name, link
}

func comment(d protoreflect.Descriptor) string {
	return strings.TrimSpace(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments)
}

// paragraph is a piece of a comment: prose, or code between fences.
type paragraph struct {
	Code bool
	Text string
}

// paragraphs splits a comment at its blank lines and code fences.
func paragraphs(text string) []paragraph {
	var out []paragraph
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 {
			_, code, _ := strings.Cut(part, "\n")
			out = append(out, paragraph{Code: true, Text: strings.TrimRight(strings.ReplaceAll(code, "\n ", "\n"), "\n ")})
			continue
		}
		for p := range strings.SplitSeq(part, "\n\n") {
			if p = strings.TrimSpace(p); p != "" {
				out = append(out, paragraph{Text: p})
			}
		}
	}
	return out
}
