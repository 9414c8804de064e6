package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// methodPolicy is what the contract says about calling a method.
type methodPolicy struct {
	Scope         string
	TimeoutMillis int64 // 0: the transport's default
	Idempotent    bool
}

// policyReader reads the policy option from the descriptors of the request, so that the
// plugin knows no Go code of the contract. The option is a message with any of the fields
// string scope, google.protobuf.Duration timeout, bool idempotent.
type policyReader struct {
	ext   protoreflect.ExtensionType
	types *protoregistry.Types
}

func newPolicyReader(files *protoregistry.Files, name protoreflect.FullName) (policyReader, error) {
	d, err := files.FindDescriptorByName(name)
	if err != nil {
		return policyReader{}, nil //nolint:nilerr // a contract without the option is the usual case
	}
	xd, ok := d.(protoreflect.ExtensionDescriptor)
	if !ok || !xd.IsExtension() || xd.Kind() != protoreflect.MessageKind || xd.ContainingMessage().FullName() != "google.protobuf.MethodOptions" {
		return policyReader{}, fmt.Errorf("option policy_option: %s is no extension of google.protobuf.MethodOptions with a message", name)
	}
	r := policyReader{ext: dynamicpb.NewExtensionType(xd), types: &protoregistry.Types{}}
	if err := r.types.RegisterExtension(r.ext); err != nil {
		return policyReader{}, fmt.Errorf("register %s: %w", name, err)
	}
	return r, nil
}

func (r policyReader) read(md protoreflect.MethodDescriptor) (methodPolicy, error) {
	var p methodPolicy
	opts, _ := md.Options().(*descriptorpb.MethodOptions)
	switch opts.GetIdempotencyLevel() {
	case descriptorpb.MethodOptions_NO_SIDE_EFFECTS, descriptorpb.MethodOptions_IDEMPOTENT:
		p.Idempotent = true
	case descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN:
	}
	if r.ext == nil || opts == nil {
		return p, nil
	}
	// The request was parsed without this extension: its bytes are among the unknown fields.
	raw, err := proto.Marshal(opts)
	if err != nil {
		return p, fmt.Errorf("method %s: read options: %w", md.FullName(), err)
	}
	dyn := &descriptorpb.MethodOptions{}
	if err := (proto.UnmarshalOptions{Resolver: r.types}).Unmarshal(raw, dyn); err != nil {
		return p, fmt.Errorf("method %s: read options: %w", md.FullName(), err)
	}
	// By name: asked for with Has, the extension would have to extend Go's own MethodOptions
	// descriptor, and this one extends the request's.
	var msg protoreflect.Message
	dyn.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.FullName() == r.ext.TypeDescriptor().FullName() {
			msg = v.Message()
		}
		return msg == nil
	})
	if msg == nil {
		return p, nil
	}
	fields := msg.Descriptor().Fields()
	if fd := fields.ByName("scope"); fd != nil && fd.Kind() == protoreflect.StringKind && !fd.IsList() {
		p.Scope = msg.Get(fd).String()
	}
	if fd := fields.ByName("idempotent"); fd != nil && fd.Kind() == protoreflect.BoolKind && !fd.IsList() && msg.Get(fd).Bool() {
		p.Idempotent = true
	}
	if fd := fields.ByName("timeout"); fd != nil && fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Duration" && msg.Has(fd) {
		d := msg.Get(fd).Message()
		seconds := d.Get(d.Descriptor().Fields().ByName("seconds")).Int()
		nanos := d.Get(d.Descriptor().Fields().ByName("nanos")).Int()
		p.TimeoutMillis = seconds*1000 + (nanos+999_999)/1_000_000
	}
	return p, nil
}
