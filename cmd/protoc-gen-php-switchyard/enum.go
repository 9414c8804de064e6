package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// caseName is the PHP case of an enum value: without the enum's name as a prefix, unless
// that would collide with the full name of another value.
func (g *generator) caseName(ed protoreflect.EnumDescriptor, v protoreflect.EnumValueDescriptor) string {
	if ed.FullName() == nullValueType {
		return "NULL_VALUE"
	}
	return enumNames(ed)[v.Name()]
}

func enumNames(ed protoreflect.EnumDescriptor) map[protoreflect.Name]string {
	taken := newScope(false)
	out := map[protoreflect.Name]string{}
	assign := func(v protoreflect.EnumValueDescriptor, name string) {
		// The only words that PHP refuses for a constant.
		if strings.EqualFold(name, "class") || strings.EqualFold(name, "__halt_compiler") {
			name += "_"
		}
		out[v.Name()] = taken.take(name)
	}
	// Full names first: a value that keeps its name must not lose it to a shortened one.
	for i := range ed.Values().Len() {
		if v := ed.Values().Get(i); stripEnumPrefix(ed, v) == string(v.Name()) {
			assign(v, string(v.Name()))
		}
	}
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		short := stripEnumPrefix(ed, v)
		switch {
		case short == string(v.Name()):
		case taken.taken[short]:
			assign(v, string(v.Name()))
		default:
			assign(v, short)
		}
	}
	return out
}

func (g *generator) enum(ed protoreflect.EnumDescriptor) error {
	if ed.IsClosed() {
		return fmt.Errorf("enum %s: closed enums are not supported, only what proto3 has", ed.FullName())
	}
	c := g.names.types[ed.FullName()]
	f := newFile(ed.ParentFile(), c)
	names := enumNames(ed)
	f.doc(commentOf(ed), deprecated(ed))
	f.open("enum %s: int implements %s\n{", c.name, f.rt(`Message\ProtoEnum`))
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		f.doc(commentOf(v), deprecated(v))
		if first := ed.Values().ByNumber(v.Number()); first != v {
			f.p("public const %s = self::%s;", names[v.Name()], names[first.Name()])
		} else {
			f.p("case %s = %d;", names[v.Name()], v.Number())
		}
	}
	f.p("")
	f.open("public static function typeName(): string\n    {")
	f.p("return %s;", quote(string(ed.FullName())))
	f.close("}")
	f.p("")
	f.open("public function protoName(): string\n    {")
	f.open("return match ($this->value) {")
	for i := range ed.Values().Len() {
		if v := ed.Values().Get(i); ed.Values().ByNumber(v.Number()) == v {
			f.p("%d => %s,", v.Number(), quote(string(v.Name())))
		}
	}
	f.close("};")
	f.close("}")
	f.p("")
	f.open("public static function fromProtoName(string $name): ?static\n    {")
	f.open("return match ($name) {")
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		f.p("%s => self::%s,", quote(string(v.Name())), names[ed.Values().ByNumber(v.Number()).Name()])
	}
	f.p("default => null,")
	f.close("};")
	f.close("}")
	f.close("}")
	g.emit(ed.ParentFile(), c, f.String())
	if _, ok := g.names.exceptions[ed.FullName()]; ok {
		g.errorExceptions(ed)
	}
	return nil
}
