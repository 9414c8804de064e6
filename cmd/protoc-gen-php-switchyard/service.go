package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// method is one RPC with its PHP names.
type method struct {
	md     protoreflect.MethodDescriptor
	name   string
	policy methodPolicy
}

type shape string

const (
	unary        shape = "unary"
	serverStream shape = "server_stream"
	clientStream shape = "client_stream"
	bidi         shape = "bidi"
)

func (m method) shape() shape {
	switch {
	case m.md.IsStreamingClient() && m.md.IsStreamingServer():
		return bidi
	case m.md.IsStreamingClient():
		return clientStream
	case m.md.IsStreamingServer():
		return serverStream
	default:
		return unary
	}
}

// path is the HTTP/2 path of the call.
func (m method) path() string {
	return fmt.Sprintf("/%s/%s", m.md.Parent().FullName(), m.md.Name())
}

// methods names the RPCs. Method names ignore case in PHP, names with two underscores are
// PHP's own, and the reserved ones are what the fake adds.
func (g *generator) methods(sd protoreflect.ServiceDescriptor) ([]method, error) {
	names := newScope(true, "will", "calls", "answerUnary", "answerServerStream", "answerClientStream", "answerBidi", "nextAnswer")
	var out []method
	for i := range sd.Methods().Len() {
		md := sd.Methods().Get(i)
		for _, d := range []protoreflect.MessageDescriptor{md.Input(), md.Output()} {
			if g.classOf(d).name == "" || d.IsPlaceholder() {
				return nil, fmt.Errorf("method %s: %s is not among the files of the request", md.FullName(), d.FullName())
			}
		}
		name := lowerFirst(string(md.Name()))
		if strings.HasPrefix(name, "__") {
			name += "_"
		}
		p, err := g.policy.read(md)
		if err != nil {
			return nil, err
		}
		out = append(out, method{md, names.take(name), p})
	}
	return out, nil
}

func (g *generator) service(sd protoreflect.ServiceDescriptor) error {
	methods, err := g.methods(sd)
	if err != nil {
		return err
	}
	g.clientInterface(sd, methods)
	g.client(sd, methods)
	g.fake(sd, methods)
	return nil
}

// signature is the method without its body; the same in interface, client and fake.
func (g *generator) signature(f *phpFile, m method) string {
	request, response := f.ref(g.classOf(m.md.Input())), f.ref(g.classOf(m.md.Output()))
	options := fmt.Sprintf("?%s $options = null", f.rt("CallOptions"))
	switch m.shape() {
	case bidi:
		return fmt.Sprintf("public function %s(%s): %s", m.name, options, f.rt("BidiCall"))
	case clientStream:
		return fmt.Sprintf("public function %s(%s): %s", m.name, options, f.rt("ClientStreamCall"))
	case serverStream:
		return fmt.Sprintf("public function %s(%s $request, %s): %s", m.name, request, options, f.rt("ServerStreamCall"))
	default:
		return fmt.Sprintf("public function %s(%s $request, %s): %s", m.name, request, options, response)
	}
}

// returns is the @return tag with generics, which only streams need.
func (g *generator) returns(f *phpFile, m method) []string {
	request, response := f.ref(g.classOf(m.md.Input())), f.ref(g.classOf(m.md.Output()))
	switch m.shape() {
	case bidi:
		return []string{fmt.Sprintf("@return %s<%s, %s>", f.rt("BidiCall"), request, response)}
	case clientStream:
		return []string{fmt.Sprintf("@return %s<%s, %s>", f.rt("ClientStreamCall"), request, response)}
	case serverStream:
		return []string{fmt.Sprintf("@return %s<%s>", f.rt("ServerStreamCall"), response)}
	default:
		return nil
	}
}

func (g *generator) clientInterface(sd protoreflect.ServiceDescriptor, methods []method) {
	c := g.names.services[sd.FullName()].iface
	f := newFile(sd.ParentFile(), c)
	f.doc(commentOf(sd), deprecated(sd))
	f.open("interface %s\n{", c.name)
	for i, m := range methods {
		if i > 0 {
			f.p("")
		}
		tags := append(g.returns(f, m), fmt.Sprintf("@throws %s", f.rt("RpcException")))
		f.doc(commentOf(m.md), policyDoc(m.policy), tags, deprecated(m.md))
		f.p("%s;", g.signature(f, m))
	}
	f.close("}")
	g.emit(sd.ParentFile(), c, f.String())
}

// policyDoc says in words what the policy option says.
func policyDoc(p methodPolicy) []string {
	var parts []string
	if p.Scope != "" {
		parts = append(parts, "scope "+p.Scope)
	}
	if p.TimeoutMillis > 0 {
		parts = append(parts, fmt.Sprintf("deadline %d ms", p.TimeoutMillis))
	}
	if p.Idempotent {
		parts = append(parts, "idempotent: retried when the server is unavailable")
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{upperFirst(strings.Join(parts, "; ")) + "."}
}

func (g *generator) client(sd protoreflect.ServiceDescriptor, methods []method) {
	sc := g.names.services[sd.FullName()]
	f := newFile(sd.ParentFile(), sc.client)
	f.doc([]string{fmt.Sprintf("Calls %s.", sd.FullName())}, deprecated(sd))
	f.open("final class %s implements %s\n{", sc.client.name, f.ref(sc.iface))
	f.p("public function __construct(private readonly %s $transport)", f.rt("Transport"))
	f.p("{\n    }")
	for _, m := range methods {
		f.p("")
		f.doc(g.returns(f, m), deprecated(m.md))
		f.open("%s\n    {", g.signature(f, m))
		args := "$options ?? " + f.rt("CallOptions") + "::standard()"
		fn := "unary"
		switch m.shape() {
		case bidi:
			fn = "bidi"
		case clientStream:
			fn = "clientStream"
		case serverStream:
			fn, args = "serverStream", "$request, "+args
		case unary:
			args = "$request, " + args
		}
		f.open("return $this->transport->%s(new %s(", fn, f.rt("MethodDescriptor"))
		f.p("%s,", quote(m.path()))
		f.p("%s::class,", f.ref(g.classOf(m.md.Output())))
		if m.policy.TimeoutMillis > 0 {
			f.p("timeoutMillis: %d,", m.policy.TimeoutMillis)
		}
		if m.policy.Idempotent {
			f.p("idempotent: true,")
		}
		if m.policy.Scope != "" {
			f.p("scope: %s,", quote(m.policy.Scope))
		}
		if factory, ok := g.exceptionsOf(sd.ParentFile()); ok {
			f.p("exceptions: %s::class,", f.ref(factory))
		}
		f.close("), %s);", args)
		f.close("}")
	}
	f.close("}")
	g.emit(sd.ParentFile(), sc.client, f.String())
}

func (g *generator) fake(sd protoreflect.ServiceDescriptor, methods []method) {
	sc := g.names.services[sd.FullName()]
	f := newFile(sd.ParentFile(), sc.fake)
	trait := f.rt(`Testing\FakeClient`)
	f.doc([]string{
		fmt.Sprintf("Stands in for %s in tests: answers what will() was told and", sc.client.name),
		"remembers each call.",
	}, deprecated(sd))
	f.open("final class %s implements %s\n{", sc.fake.name, f.ref(sc.iface))
	f.p("use %s;", trait)
	f.p("")
	f.open("private const SHAPES = [")
	for _, m := range methods {
		f.p("%s => %s,", quote(m.name), quote(string(m.shape())))
	}
	f.close("];")
	for _, m := range methods {
		f.p("")
		f.doc(g.returns(f, m), deprecated(m.md))
		f.open("%s\n    {", g.signature(f, m))
		switch m.shape() {
		case bidi:
			f.p("return $this->answerBidi(%s, $options);", quote(m.name))
		case clientStream:
			f.p("return $this->answerClientStream(%s, $options);", quote(m.name))
		case serverStream:
			f.p("return $this->answerServerStream(%s, $request, $options);", quote(m.name))
		case unary:
			f.p("return $this->answerUnary(%s, $request, $options);", quote(m.name))
		}
		f.close("}")
	}
	f.close("}")
	g.emit(sd.ParentFile(), sc.fake, f.String())
}
