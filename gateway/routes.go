package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// route is one binding of a contract: an HTTP method, a path and the RPC behind it.
type route struct {
	httpMethod   string
	path         string // as in the contract, "/v1/models/{model}/versions"
	segments     []string
	verb         string
	clientStream bool
	serverStream bool
	rpc          protoreflect.MethodDescriptor
	policy       *commonv1.MethodPolicy
}

// routes are all bindings of all contracts. They answer questions; the dispatching itself is grpc-gateway's.
type routes struct {
	all []*route
	// exact finds the routes without variables, which are all the hot ones.
	exact map[string]*route
}

func newRoutes() (*routes, error) {
	rs := &routes{exact: map[string]*route{}}
	var err error
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "switchyard.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			if forGRPC(methods) {
				continue
			}
			for j := range methods.Len() {
				if err = rs.add(methods.Get(j)); err != nil {
					return false
				}
			}
		}
		return true
	})
	slices.SortFunc(rs.all, func(a, b *route) int { return strings.Compare(string(a.rpc.FullName()), string(b.rpc.FullName())) })
	return rs, err
}

// forGRPC says whether a service is for gRPC alone: none of its methods has an HTTP binding.
func forGRPC(methods protoreflect.MethodDescriptors) bool {
	for i := range methods.Len() {
		if proto.HasExtension(methods.Get(i).Options(), annotations.E_Http) {
			return false
		}
	}
	return true
}

func (rs *routes) add(m protoreflect.MethodDescriptor) error {
	rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return fmt.Errorf("%s has no HTTP binding", m.FullName())
	}
	r := &route{rpc: m, clientStream: m.IsStreamingClient(), serverStream: m.IsStreamingServer()}
	r.policy, _ = proto.GetExtension(m.Options(), commonv1.E_Policy).(*commonv1.MethodPolicy)
	switch p := rule.Pattern.(type) {
	case *annotations.HttpRule_Get:
		r.httpMethod, r.path = http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		r.httpMethod, r.path = http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		r.httpMethod, r.path = http.MethodDelete, p.Delete
	default:
		return fmt.Errorf("%s has an HTTP binding of a kind that is not served: %T", m.FullName(), p)
	}
	r.segments, r.verb = split(r.path)
	rs.all = append(rs.all, r)
	if !strings.Contains(r.path, "{") {
		rs.exact[r.httpMethod+" "+r.path] = r
	}
	return nil
}

// split returns the segments of a path and the verb after the last colon.
func split(path string) (segments []string, verb string) {
	segments = strings.Split(strings.TrimPrefix(path, "/"), "/")
	last := len(segments) - 1
	if i := strings.LastIndex(segments[last], ":"); i >= 0 {
		segments[last], verb = segments[last][:i], segments[last][i+1:]
	}
	return segments, verb
}

// match returns the route for a request, nil when there is none.
func (rs *routes) match(method, path string) *route {
	if r := rs.exact[method+" "+path]; r != nil {
		return r
	}
	for _, r := range rs.all {
		if r.httpMethod == method && r.fits(path) {
			return r
		}
	}
	return nil
}

// allowed returns the HTTP methods that routes at path have.
func (rs *routes) allowed(path string) []string {
	var methods []string
	for _, r := range rs.all {
		if r.fits(path) && !slices.Contains(methods, r.httpMethod) {
			methods = append(methods, r.httpMethod)
		}
	}
	slices.Sort(methods)
	return methods
}

func (r *route) fits(path string) bool {
	segments, verb := split(path)
	if verb != r.verb || len(segments) != len(r.segments) {
		return false
	}
	for i, want := range r.segments {
		if strings.HasPrefix(want, "{") {
			if segments[i] == "" {
				return false
			}
			continue
		}
		if segments[i] != want {
			return false
		}
	}
	return true
}
