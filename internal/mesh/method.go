package mesh

import (
	"strings"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// Method is one RPC and what the contract says about it.
type Method struct {
	// FullName is the method as it stands on the wire, such as "/switchyard.routing.v1.RoutingService/RouteInquiry".
	FullName string
	// ClientStreams is true when the caller sends many messages.
	ClientStreams bool
	// ServerStreams is true when the answer is many messages.
	ServerStreams bool
	// Policy is the method option of the contract; nil when there is none, and then the method is refused.
	Policy *commonv1.MethodPolicy
	// Open is true for health and reflection, which anybody may call.
	Open bool

	input    protoreflect.MessageDescriptor // nil when the method is not in a known descriptor
	output   protoreflect.MessageType       // likewise
	reads    bool                           // changes nothing
	metrics  *telemetry.Method
	logLimit *rate.Limiter // of log lines about failed calls
	handle   Handler       // the chain and, at its end, the service
}

// Unary reports whether there is one message each way.
func (m *Method) Unary() bool { return !m.ClientStreams && !m.ServerStreams }

// Timeout is the deadline that the contract names, 0 for none.
func (m *Method) Timeout() time.Duration { return m.Policy.GetTimeout().AsDuration() }

// Anybody may ask whether a server lives and what it serves: both answers are the same for all.
var openServices = map[string]bool{
	"grpc.health.v1.Health":                    true,
	"grpc.reflection.v1.ServerReflection":      true,
	"grpc.reflection.v1alpha.ServerReflection": true,
}

func newMethod(service, name string, clientStreams, serverStreams bool) *Method {
	m := &Method{
		FullName: "/" + service + "/" + name, ClientStreams: clientStreams, ServerStreams: serverStreams,
		Open: openServices[service], logLimit: rate.NewLimiter(10, 20),
	}
	if d := describe(service, name); d != nil {
		m.Policy, m.input, m.output, m.reads = PolicyOf(d), d.Input(), outputOf(d), readsOnly(d)
	}
	return m
}

func describe(service, name string) protoreflect.MethodDescriptor {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil
	}
	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	return s.Methods().ByName(protoreflect.Name(name))
}

// PolicyOf returns the policy that the contract gives a method, nil when it gives none.
func PolicyOf(d protoreflect.MethodDescriptor) *commonv1.MethodPolicy {
	o, ok := d.Options().(*descriptorpb.MethodOptions)
	if !ok || !proto.HasExtension(o, commonv1.E_Policy) {
		return nil
	}
	p, _ := proto.GetExtension(o, commonv1.E_Policy).(*commonv1.MethodPolicy)
	return p
}

// eachMethod calls f for every method of Switchyard's contracts that is linked into this program.
func eachMethod(f func(fullName string, d protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "switchyard.") {
			return true
		}
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				d := s.Methods().Get(j)
				f("/"+string(s.FullName())+"/"+string(d.Name()), d)
			}
		}
		return true
	})
}
