package main

import (
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// contracts are the import paths of the product's own contracts.
var contracts = []string{"../../proto", "../../third_party/proto"}

// request compiles .proto files as protoc would and returns what protoc would send.
func request(t testing.TB, accessor func(string) (io.ReadCloser, error), importPaths []string, parameter string, files ...string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	c := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			ImportPaths: importPaths,
			Accessor:    accessor,
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	compiled, err := c.Compile(context.Background(), files...)
	if err != nil {
		t.Fatalf("compile %v: %v", files, err)
	}
	req := &pluginpb.CodeGeneratorRequest{FileToGenerate: files, Parameter: proto.String(parameter)}
	seen := map[string]bool{}
	var visit func(fd protoreflect.FileDescriptor)
	visit = func(fd protoreflect.FileDescriptor) {
		if seen[fd.Path()] {
			return
		}
		seen[fd.Path()] = true
		for i := range fd.Imports().Len() {
			visit(fd.Imports().Get(i).FileDescriptor)
		}
		req.ProtoFile = append(req.ProtoFile, protodesc.ToFileDescriptorProto(fd))
	}
	for _, fd := range compiled {
		visit(fd)
	}
	for i, fd := range compiled {
		// ToFileDescriptorProto leaves comments out.
		req.ProtoFile[slices.IndexFunc(req.ProtoFile, func(p *descriptorpb.FileDescriptorProto) bool { return p.GetName() == files[i] })] =
			withComments(fd)
	}
	// Over the wire, as from protoc: custom options become unknown fields.
	raw, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	out := &pluginpb.CodeGeneratorRequest{}
	if err := (proto.UnmarshalOptions{Resolver: &protoregistry.Types{}}).Unmarshal(raw, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func withComments(fd protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	if r, ok := fd.(interface {
		FileDescriptorProto() *descriptorpb.FileDescriptorProto
	}); ok {
		return r.FileDescriptorProto()
	}
	return protodesc.ToFileDescriptorProto(fd)
}

// source is the request for .proto text that is given in the test.
func source(t testing.TB, parameter string, texts map[string]string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	var files []string
	for name := range texts {
		files = append(files, name)
	}
	slices.Sort(files)
	return request(t, protocompile.SourceAccessorFromMap(texts), nil, parameter, files...)
}

// caseRequest is the request for testdata/<name>.
func caseRequest(t testing.TB, name string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	dir := filepath.Join("testdata", name)
	return request(t, nil, append([]string{dir}, contracts...), "", protoFiles(t, dir)...)
}

func protoFiles(t testing.TB, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".proto") {
			rel, _ := filepath.Rel(dir, path)
			files = append(files, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// generated runs the plugin and returns its files by name.
func generated(t testing.TB, req *pluginpb.CodeGeneratorRequest) map[string]string {
	t.Helper()
	resp := respond(req, io.Discard)
	if resp.Error != nil {
		t.Fatalf("generate: %s", resp.GetError())
	}
	out := map[string]string{}
	for _, f := range resp.GetFile() {
		if _, ok := out[f.GetName()]; ok {
			t.Errorf("file %s is written twice", f.GetName())
		}
		out[f.GetName()] = f.GetContent()
	}
	return out
}

// writeTree writes files below dir and returns their paths.
func writeTree(t testing.TB, dir string, files map[string]string) []string {
	t.Helper()
	var paths []string
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// php returns the interpreter, or skips the test.
func php(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("php")
	if err != nil {
		t.Skip("php is not installed: the generated code is not run")
	}
	return path
}

func registry(t testing.TB, req *pluginpb.CodeGeneratorRequest) *protoregistry.Files {
	t.Helper()
	files, err := protodesc.NewFiles(&descriptorpb.FileDescriptorSet{File: req.GetProtoFile()})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
