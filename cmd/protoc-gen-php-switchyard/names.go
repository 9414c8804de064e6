package main

import (
	"path"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// class is the name of a PHP class, interface or enum.
type class struct {
	base string // namespace of the .proto file
	ns   string // namespace of the class: base, or below it for nested types
	name string
}

// String returns the full name without a leading backslash.
func (c class) String() string {
	if c.ns == "" {
		return c.name
	}
	return c.ns + `\` + c.name
}

// names gives every descriptor its PHP class. PHP class names ignore case, and so do some
// file systems, therefore names that differ in case alone count as equal.
type names struct {
	params     params
	taken      map[string]bool
	types      map[protoreflect.FullName]class
	services   map[protoreflect.FullName]serviceClasses
	exceptions map[protoreflect.FullName]class // by enum value, and by enum for the factory
}

type serviceClasses struct{ iface, client, fake class }

func newNames(p params) *names {
	return &names{
		params:     p,
		taken:      map[string]bool{},
		types:      map[protoreflect.FullName]class{},
		services:   map[protoreflect.FullName]serviceClasses{},
		exceptions: map[protoreflect.FullName]class{},
	}
}

func (n *names) addTypes(fd protoreflect.FileDescriptor) {
	ns := n.namespace(fd)
	var nested func(parent string, enums protoreflect.EnumDescriptors, messages protoreflect.MessageDescriptors)
	nested = func(parent string, enums protoreflect.EnumDescriptors, messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			md := messages.Get(i)
			if md.IsMapEntry() {
				continue
			}
			c := n.take(class{ns, parent, escapeClass(string(md.Name()))})
			n.types[md.FullName()] = c
		}
		for i := range enums.Len() {
			ed := enums.Get(i)
			n.types[ed.FullName()] = n.take(class{ns, parent, escapeEnum(string(ed.Name()))})
		}
		for i := range messages.Len() {
			md := messages.Get(i)
			if !md.IsMapEntry() {
				nested(n.types[md.FullName()].String(), md.Enums(), md.Messages())
			}
		}
	}
	nested(ns, fd.Enums(), fd.Messages())
}

// addServices comes after the types of all files, so that a new service never renames a message.
func (n *names) addServices(fd protoreflect.FileDescriptor) {
	ns := n.namespace(fd)
	for i := range fd.Services().Len() {
		sd := fd.Services().Get(i)
		full := upperFirst(string(sd.Name()))
		base := strings.TrimSuffix(full, "Service")
		if base == "" || n.serviceTaken(ns, base) {
			base = full
		}
		for n.serviceTaken(ns, base) {
			base += "_"
		}
		n.services[sd.FullName()] = serviceClasses{
			iface:  n.take(class{ns, ns, base + "ClientInterface"}),
			client: n.take(class{ns, ns, base + "Client"}),
			fake:   n.take(class{ns, ns, "Fake" + base + "Client"}),
		}
	}
	for i := range fd.Enums().Len() {
		if ed := fd.Enums().Get(i); ed.Name() == errorReason {
			n.addExceptions(ns, ed)
		}
	}
}

func (n *names) addExceptions(ns string, ed protoreflect.EnumDescriptor) {
	sub := ns + `\Exception`
	n.exceptions[ed.FullName()] = n.take(class{ns, sub, "ErrorReasonExceptions"})
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		if v.Number() == 0 || ed.Values().ByNumber(v.Number()) != v {
			continue // never sent; an alias shares its first name's class
		}
		n.exceptions[valueKey(v)] = n.take(class{ns, sub, upperCamel(stripEnumPrefix(ed, v)) + "Exception"})
	}
}

// valueKey identifies an enum value; its FullName is a sibling of the enum, not a child.
func valueKey(v protoreflect.EnumValueDescriptor) protoreflect.FullName {
	return v.Parent().FullName() + "." + protoreflect.FullName(v.Name())
}

func (n *names) serviceTaken(ns, base string) bool {
	for _, name := range []string{base + "ClientInterface", base + "Client", "Fake" + base + "Client"} {
		if n.taken[strings.ToLower(class{ns, ns, name}.String())] {
			return true
		}
	}
	return false
}

func (n *names) take(c class) class {
	for n.taken[strings.ToLower(c.String())] {
		c.name += "_"
	}
	n.taken[strings.ToLower(c.String())] = true
	return c
}

// namespace is the PHP namespace of a file: the parameter, the file's php_namespace option,
// or the package with each segment capitalised.
func (n *names) namespace(fd protoreflect.FileDescriptor) string {
	if ns, ok := n.params.namespaces[string(fd.Package())]; ok {
		return ns
	}
	if opts, ok := fd.Options().(*descriptorpb.FileOptions); ok && opts != nil && opts.PhpNamespace != nil {
		return cleanNamespace(opts.GetPhpNamespace())
	}
	segments := strings.Split(string(fd.Package()), ".")
	if fd.Package() == "" {
		// Without a namespace of its own a message could collide with PHP's own classes.
		segments = []string{strings.TrimSuffix(path.Base(fd.Path()), ".proto")}
		if n.params.namespacePrefix != "" {
			return n.params.namespacePrefix
		}
	}
	for i, s := range segments {
		segments[i] = escapeSegment(upperCamel(s))
	}
	ns := strings.Join(segments, `\`)
	if n.params.namespacePrefix != "" {
		return n.params.namespacePrefix + `\` + ns
	}
	return ns
}

// scope gives unique identifiers within one class.
type scope struct {
	taken map[string]bool
	fold  bool // method names ignore case, property names do not
}

func newScope(fold bool, reserved ...string) *scope {
	s := &scope{taken: map[string]bool{}, fold: fold}
	for _, r := range reserved {
		s.take(r)
	}
	return s
}

func (s *scope) take(name string) string {
	key := func() string {
		if s.fold {
			return strings.ToLower(name)
		}
		return name
	}
	for s.taken[key()] {
		name += "_"
	}
	s.taken[key()] = true
	return name
}
