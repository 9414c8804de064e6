package main

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// field is a message's field with its PHP names.
type field struct {
	value
	prop string // property, without $
	key  *value // of a map
	elem *value // of a map
}

// unknownProp keeps the bytes of unknown fields.
const unknownProp = "unknownFields"

func (x field) local(prefix string) string { return fmt.Sprintf("$%s%d", prefix, x.fd.Number()) }

// oneof is the real oneof that the field is a member of, or nil.
func (x field) oneof() protoreflect.OneofDescriptor {
	if od := x.fd.ContainingOneof(); od != nil && !od.IsSynthetic() {
		return od
	}
	return nil
}

func (x field) nullable() bool {
	return x.fd.HasPresence()
}

// initial is the value of an absent field.
func (x field) initial() string {
	switch {
	case x.fd.IsMap(), x.fd.IsList():
		return "[]"
	case x.nullable():
		return "null"
	default:
		return x.zero()
	}
}

func (x field) declared() string {
	switch {
	case x.fd.IsMap(), x.fd.IsList():
		return "array"
	case x.nullable():
		if t := x.phpType(); strings.Contains(t, "|") {
			return t + "|null"
		}
		return "?" + x.phpType()
	default:
		return x.phpType()
	}
}

// docType is the type for PHPStan where the declared one says less; empty otherwise.
func (x field) docType() string {
	switch {
	case x.fd.IsMap():
		key := "int"
		if x.key.kind() == protoreflect.StringKind {
			key = "string"
		}
		return fmt.Sprintf("array<%s, %s>", key, x.elem.phpType())
	case x.fd.IsList():
		return fmt.Sprintf("list<%s>", x.phpType())
	default:
		return ""
	}
}

// fields returns the message's fields by number: a new field then comes last in the constructor.
func (g *generator) fields(f *phpFile, md protoreflect.MessageDescriptor) ([]field, error) {
	props := newScope(false, "this", "GLOBALS", unknownProp)
	var out []field
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if err := g.supported(fd); err != nil {
			return nil, err
		}
		where := quote(string(fd.FullName()))
		x := field{value: value{g, f, fd, where}, prop: props.take(lowerCamel(string(fd.Name())))}
		if fd.IsMap() {
			x.key, x.elem = &value{g, f, fd.MapKey(), where}, &value{g, f, fd.MapValue(), where}
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b field) int { return int(a.fd.Number()) - int(b.fd.Number()) })
	return out, nil
}

// supported refuses what only proto2 and some editions have.
func (g *generator) supported(fd protoreflect.FieldDescriptor) error {
	refuse := func(what string) error {
		return fmt.Errorf("field %s: %s is not supported, only what proto3 has", fd.FullName(), what)
	}
	target := fd
	if fd.IsMap() {
		target = fd.MapValue()
	}
	var ref protoreflect.Descriptor
	switch target.Kind() {
	case protoreflect.GroupKind:
		return refuse("a group or delimited encoding")
	case protoreflect.EnumKind:
		if target.Enum().IsClosed() {
			return refuse("a closed enum")
		}
		ref = target.Enum()
	case protoreflect.MessageKind:
		ref = target.Message()
	}
	if fd.Cardinality() == protoreflect.Required {
		return refuse("required")
	}
	if fd.HasDefault() {
		return refuse("a default value")
	}
	if ref == nil {
		return nil
	}
	if _, ok := wellKnowns[ref.FullName()]; ok {
		return nil
	}
	if ref.IsPlaceholder() {
		return fmt.Errorf("field %s: %s is not among the files of the request", fd.FullName(), ref.FullName())
	}
	if ref.ParentFile().Syntax() == protoreflect.Proto2 {
		return refuse("the proto2 type " + string(ref.FullName()))
	}
	return nil
}

func (g *generator) message(md protoreflect.MessageDescriptor) error {
	c := g.names.types[md.FullName()]
	f := newFile(md.ParentFile(), c)
	fields, err := g.fields(f, md)
	if err != nil {
		return err
	}
	f.doc(commentOf(md), deprecated(md))
	f.open("final class %s implements %s\n{", c.name, f.rt(`Message\Message`))
	f.p("use %s;", f.rt(`Message\Codec`))
	f.p("")
	if len(fields) > 0 {
		f.jsonNames(fields)
	}
	f.constructor(md, fields)
	f.p("")
	f.open("public static function typeName(): string\n    {")
	f.p("return %s;", quote(string(md.FullName())))
	f.close("}")
	f.oneofHelpers(md, fields)
	f.p("")
	f.encode(fields)
	f.p("")
	f.read(md, fields)
	f.oneofReaders(md, fields)
	f.p("")
	f.readJSON(md, fields)
	f.p("")
	f.writeJSON(fields)
	f.close("}")
	g.emit(md.ParentFile(), c, f.String())
	return nil
}

func (f *phpFile) constructor(md protoreflect.MessageDescriptor, fields []field) {
	var params []string
	for _, x := range fields {
		if t := x.docType(); t != "" {
			params = append(params, fmt.Sprintf("@param %s $%s", t, x.prop))
		}
	}
	if len(params) > 0 {
		f.doc(params)
	}
	f.open("public function __construct(")
	for _, x := range fields {
		var doc []string
		if t := x.docType(); t != "" {
			doc = []string{"@var " + t}
		}
		comment := commentOf(x.fd)
		if od := x.oneof(); od != nil {
			comment = append(comment, fmt.Sprintf("One of %s: at most one of them is not null.", od.Name()))
		}
		f.doc(comment, doc, deprecated(x.fd))
		f.p("public readonly %s $%s = %s,", x.declared(), x.prop, x.initial())
	}
	f.p("/** Fields of a newer contract, in binary form; sent back unchanged. */")
	f.p("public readonly string $%s = '',", unknownProp)
	f.indent--
	if oneofCount(md) == 0 {
		f.p(") {\n    }")
		return
	}
	f.open(") {")
	for i := range md.Oneofs().Len() {
		od := md.Oneofs().Get(i)
		members := membersOf(od, fields)
		if od.IsSynthetic() || len(members) < 2 {
			continue
		}
		var sum, names []string
		for _, x := range members {
			sum = append(sum, fmt.Sprintf("(null !== $%s)", x.prop))
			names = append(names, x.prop)
		}
		f.open("if (1 < %s) {", strings.Join(sum, " + "))
		f.p("throw new \\InvalidArgumentException(%s);", quote(fmt.Sprintf("%s: at most one of %s may be given", md.FullName(), strings.Join(names, ", "))))
		f.close("}")
	}
	f.close("}")
}

func oneofCount(md protoreflect.MessageDescriptor) int {
	n := 0
	for i := range md.Oneofs().Len() {
		if !md.Oneofs().Get(i).IsSynthetic() {
			n++
		}
	}
	return n
}

func membersOf(od protoreflect.OneofDescriptor, fields []field) []field {
	var out []field
	for _, x := range fields {
		if x.fd.ContainingOneof() == od {
			out = append(out, x)
		}
	}
	return out
}

// oneofHelpers writes which<Name>() and <name>Value() per oneof.
func (f *phpFile) oneofHelpers(md protoreflect.MessageDescriptor, fields []field) {
	methods := newScope(true)
	for i := range md.Oneofs().Len() {
		od := md.Oneofs().Get(i)
		if od.IsSynthetic() {
			continue
		}
		members := membersOf(od, fields)
		camel := lowerCamel(string(od.Name()))
		var names, types []string
		for _, x := range members {
			names = append(names, quote(x.prop))
			for t := range strings.SplitSeq(x.phpType(), "|") {
				if !slices.Contains(types, t) {
					types = append(types, t)
				}
			}
		}
		f.p("")
		f.doc(append(commentOf(od), fmt.Sprintf("Which member of %s is set: the name of its property.", od.Name())),
			[]string{"@return " + strings.Join(names, "|") + "|null"})
		f.open("public function %s(): ?string\n    {", methods.take("which"+upperFirst(camel)))
		f.open("return match (true) {")
		for _, x := range members {
			f.p("null !== $this->%s => %s,", x.prop, quote(x.prop))
		}
		f.p("default => null,")
		f.close("};")
		f.close("}")

		f.p("")
		f.doc([]string{fmt.Sprintf("The value of the member of %s that is set.", od.Name())})
		slices.Sort(types)
		f.open("public function %s(): %s|null\n    {", methods.take(camel+"Value"), strings.Join(types, "|"))
		var parts []string
		for _, x := range members {
			parts = append(parts, "$this->"+x.prop)
		}
		f.p("return %s;", strings.Join(parts, " ?? "))
		f.close("}")
	}
}
