package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// generator holds what all files of one request share.
type generator struct {
	params params
	files  *protoregistry.Files
	names  *names
	policy policyReader
	paths  []string // all files of the request, imports first
	out    []*pluginpb.CodeGeneratorResponse_File
}

func respond(req *pluginpb.CodeGeneratorRequest, notes io.Writer) *pluginpb.CodeGeneratorResponse {
	resp := &pluginpb.CodeGeneratorResponse{
		SupportedFeatures: proto.Uint64(uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL |
			pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)),
		MinimumEdition: proto.Int32(int32(descriptorpb.Edition_EDITION_PROTO3)),
		MaximumEdition: proto.Int32(int32(descriptorpb.Edition_EDITION_2023)),
	}
	files, err := generate(req, notes)
	if err != nil {
		resp.Error = proto.String(err.Error())
		return resp
	}
	resp.File = files
	return resp
}

// generate returns the PHP files for the request, ordered by name.
func generate(req *pluginpb.CodeGeneratorRequest, notes io.Writer) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	p, err := parseParams(req.GetParameter())
	if err != nil {
		return nil, err
	}
	files, err := protodesc.FileOptions{AllowUnresolvable: true}.NewFiles(&descriptorpb.FileDescriptorSet{File: req.GetProtoFile()})
	if err != nil {
		return nil, fmt.Errorf("resolve descriptors: %w", err)
	}
	g := &generator{params: p, files: files}
	if g.policy, err = newPolicyReader(files, p.policyOption); err != nil {
		return nil, err
	}
	// Names are given out over all files, imports included and in the order of the request,
	// so that a class is called the same whichever files are generated.
	g.names = newNames(p)
	for _, f := range req.GetProtoFile() {
		fd, err := files.FindFileByPath(f.GetName())
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", f.GetName(), err)
		}
		g.paths = append(g.paths, f.GetName())
		g.names.addTypes(fd)
	}
	for _, f := range req.GetProtoFile() {
		fd, _ := files.FindFileByPath(f.GetName())
		g.names.addServices(fd)
	}

	paths := slices.Clone(req.GetFileToGenerate())
	slices.Sort(paths)
	var fds []protoreflect.FileDescriptor
	for _, path := range slices.Compact(paths) {
		fd, err := files.FindFileByPath(path)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", path, err)
		}
		if isWellKnownFile(path) {
			continue // hand-written in Switchyard\Client\WellKnown
		}
		if fd.Syntax() == protoreflect.Proto2 {
			fmt.Fprintf(notes, "protoc-gen-php-switchyard: %s: proto2, no PHP is written for it\n", path)
			continue
		}
		fds = append(fds, fd)
	}
	for _, fd := range fds {
		if err := g.file(fd); err != nil {
			return nil, fmt.Errorf("%s: %w", fd.Path(), err)
		}
	}
	if p.manifest != "" && len(fds) > 0 {
		if err := g.manifest(fds); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(g.out, func(a, b *pluginpb.CodeGeneratorResponse_File) int {
		return strings.Compare(a.GetName(), b.GetName())
	})
	return g.out, nil
}

func (g *generator) file(fd protoreflect.FileDescriptor) error {
	for i := range fd.Enums().Len() {
		if err := g.enum(fd.Enums().Get(i)); err != nil {
			return err
		}
	}
	for i := range fd.Messages().Len() {
		if err := g.messageTree(fd.Messages().Get(i)); err != nil {
			return err
		}
	}
	for i := range fd.Services().Len() {
		if err := g.service(fd.Services().Get(i)); err != nil {
			return err
		}
	}
	return nil
}

func (g *generator) messageTree(md protoreflect.MessageDescriptor) error {
	if md.IsMapEntry() {
		return nil
	}
	if err := g.message(md); err != nil {
		return err
	}
	for i := range md.Enums().Len() {
		if err := g.enum(md.Enums().Get(i)); err != nil {
			return err
		}
	}
	for i := range md.Messages().Len() {
		if err := g.messageTree(md.Messages().Get(i)); err != nil {
			return err
		}
	}
	return nil
}

// emit puts one finished PHP class into the response.
func (g *generator) emit(fd protoreflect.FileDescriptor, c class, content string) {
	g.out = append(g.out, &pluginpb.CodeGeneratorResponse_File{
		Name:    proto.String(g.params.path(fd, c)),
		Content: proto.String(content),
	})
}
