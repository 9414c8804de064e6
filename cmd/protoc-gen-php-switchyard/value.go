package main

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// value is one value as it travels: a singular field, an element of a list, the key or the
// value of a map entry. Its methods return PHP expressions.
type value struct {
	g     *generator
	f     *phpFile
	fd    protoreflect.FieldDescriptor
	where string // PHP literal that names the field in errors
}

func (v value) kind() protoreflect.Kind { return v.fd.Kind() }

func (v value) isMessage() bool { return v.fd.Kind() == protoreflect.MessageKind }

// native is set for Timestamp and the wrappers, whose fields are plain PHP values.
func (v value) native() (wellKnown, bool) {
	if !v.isMessage() {
		return wellKnown{}, false
	}
	wk := wellKnowns[v.fd.Message().FullName()]
	return wk, wk.native != ""
}

// class is the PHP class of a message or enum value.
func (v value) class() string {
	if v.isMessage() {
		return v.f.ref(v.g.classOf(v.fd.Message()))
	}
	return v.f.ref(v.g.classOf(v.fd.Enum()))
}

// phpType is the type without null.
func (v value) phpType() string {
	switch v.kind() {
	case protoreflect.BoolKind:
		return "bool"
	case protoreflect.StringKind, protoreflect.BytesKind:
		return "string"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "float"
	case protoreflect.EnumKind:
		return v.class() + "|int"
	case protoreflect.MessageKind:
		if wk, ok := v.native(); ok {
			return wk.native
		}
		return v.class()
	default:
		return "int"
	}
}

// zero is the default of a scalar, and of a message the value that an absent map value stands for.
func (v value) zero() string {
	switch v.kind() {
	case protoreflect.BoolKind:
		return "false"
	case protoreflect.StringKind, protoreflect.BytesKind:
		return "''"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "0.0"
	case protoreflect.EnumKind:
		first := v.fd.Enum().Values().ByNumber(0)
		return v.class() + "::" + v.g.caseName(v.fd.Enum(), first)
	default:
		return "0"
	}
}

func (v value) wireType() protowire.Type {
	switch v.kind() {
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return protowire.Fixed64Type
	case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return protowire.Fixed32Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	default:
		return protowire.VarintType
	}
}

func (v value) packable() bool { return v.wireType() != protowire.BytesType }

// tag is the PHP literal of the tag's bytes.
func (v value) tag(t protowire.Type) string {
	return quoteBytes(string(protowire.AppendTag(nil, v.fd.Number(), t)))
}

func (v value) tagNumber(t protowire.Type) uint64 {
	return protowire.EncodeTag(v.fd.Number(), t)
}

// caseNumber is the tag in the decoder's switch: negative when it has more than one byte.
func (v value) caseNumber(t protowire.Type) int64 {
	n := int64(v.tagNumber(t)) //nolint:gosec // field numbers have 29 bits
	if n > 0x7f {
		return -n
	}
	return n
}

// encoded is the value's bytes without the tag, with the length where it has one.
func (v value) encoded(x string) string {
	wire := func() string { return v.f.rt(`Wire\Wire`) }
	small := func(fn string) string {
		return fmt.Sprintf(`(%[1]s >= 0 && %[1]s < 0x4000 ? (%[1]s < 0x80 ? \chr(%[1]s) : \chr(%[1]s | 0x80) . \chr(%[1]s >> 7)) : %[2]s::%[3]s(%[1]s))`, x, wire(), fn)
	}
	switch v.kind() {
	case protoreflect.BoolKind:
		return fmt.Sprintf(`(%s ? "\x01" : "\x00")`, x)
	case protoreflect.Int32Kind:
		return small("int32")
	case protoreflect.EnumKind:
		return fmt.Sprintf(`%s::int32(\is_int(%[2]s) ? %[2]s : %[2]s->value)`, wire(), x)
	case protoreflect.Uint32Kind:
		return small("uint32")
	case protoreflect.Int64Kind, protoreflect.Uint64Kind:
		return small("varint")
	case protoreflect.Sint32Kind:
		return fmt.Sprintf("%s::sint32(%s)", wire(), x)
	case protoreflect.Sint64Kind:
		return fmt.Sprintf("%s::sint64(%s)", wire(), x)
	case protoreflect.Fixed32Kind:
		return fmt.Sprintf("%s::fixed32(%s)", wire(), x)
	case protoreflect.Sfixed32Kind:
		return fmt.Sprintf("%s::sfixed32(%s)", wire(), x)
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return fmt.Sprintf(`\pack('P', %s)`, x)
	case protoreflect.DoubleKind:
		return fmt.Sprintf(`\pack('e', %s)`, x)
	case protoreflect.FloatKind:
		return fmt.Sprintf(`\pack('g', %s)`, x)
	case protoreflect.StringKind:
		return fmt.Sprintf("%s::text(%s, %s)", wire(), x, v.where)
	case protoreflect.BytesKind:
		return fmt.Sprintf("%s::bytes(%s)", wire(), x)
	default:
		return fmt.Sprintf("%s::bytes(%s)", wire(), v.messageBytes(x))
	}
}

// messageBytes is the binary form of a message value.
func (v value) messageBytes(x string) string {
	if _, ok := v.native(); ok {
		return fmt.Sprintf("%s::bytesOf(%s)", v.class(), x)
	}
	return x + "->encode()"
}

// messageIn reads a message value from a range of bytes.
func (v value) messageIn(b, start, end string) string {
	if _, ok := v.native(); ok {
		return fmt.Sprintf("%s::valueIn(%s, %s, %s)", v.class(), b, start, end)
	}
	return fmt.Sprintf("%s::read(%s, %s, %s, $depth - 1)", v.class(), b, start, end)
}

// fromVarint converts the 64 bits in x.
func (v value) fromVarint(x string) string {
	switch v.kind() {
	case protoreflect.BoolKind:
		return fmt.Sprintf("0 !== %s", x)
	case protoreflect.Int32Kind:
		return fmt.Sprintf("(%[1]s & 0x7FFFFFFF) - (%[1]s & 0x80000000)", x)
	case protoreflect.EnumKind:
		// The assignment is the point: the number is needed twice.
		return fmt.Sprintf("%[2]s::tryFrom(%[1]s = (%[1]s & 0x7FFFFFFF) - (%[1]s & 0x80000000)) ?? %[1]s", x, v.class())
	case protoreflect.Uint32Kind:
		return fmt.Sprintf("%s & 0xFFFFFFFF", x)
	case protoreflect.Sint32Kind:
		return fmt.Sprintf("(%[1]s >> 1 & 0x7FFFFFFF) ^ -(%[1]s & 1)", x)
	case protoreflect.Sint64Kind:
		return fmt.Sprintf(`(%[1]s >> 1 & \PHP_INT_MAX) ^ -(%[1]s & 1)`, x)
	default:
		return x
	}
}

// fixedIn reads a fixed-width value at a position.
func (v value) fixedIn(b, at string) string {
	switch v.kind() {
	case protoreflect.DoubleKind:
		return fmt.Sprintf(`\unpack('e', %s, %s)[1]`, b, at)
	case protoreflect.FloatKind:
		return fmt.Sprintf(`\unpack('g', %s, %s)[1]`, b, at)
	case protoreflect.Fixed32Kind:
		return fmt.Sprintf(`\unpack('V', %s, %s)[1]`, b, at)
	case protoreflect.Sfixed32Kind:
		return fmt.Sprintf(`((\unpack('V', %s, %s)[1] ^ 0x80000000) - 0x80000000)`, b, at)
	default:
		return fmt.Sprintf(`\unpack('P', %s, %s)[1]`, b, at)
	}
}

// json is the value's JSON text.
func (v value) json(x string) string {
	out := func(fn string, more ...string) string {
		s := fmt.Sprintf("%s::%s(%s", v.f.rt(`Json\JsonOut`), fn, x)
		for _, m := range more {
			s += ", " + m
		}
		return s + ")"
	}
	switch v.kind() {
	case protoreflect.BoolKind:
		return fmt.Sprintf("(%s ? 'true' : 'false')", x)
	case protoreflect.StringKind:
		return out("string", v.where)
	case protoreflect.BytesKind:
		return out("bytes")
	case protoreflect.DoubleKind:
		return out("double")
	case protoreflect.FloatKind:
		return out("float")
	case protoreflect.EnumKind:
		if v.fd.Enum().FullName() == nullValueType {
			return "'null'"
		}
		return out("enum", "$options")
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return out("int64")
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return out("uint64")
	case protoreflect.MessageKind:
		if _, ok := v.native(); ok {
			return fmt.Sprintf("%s::jsonOf(%s)", v.class(), x)
		}
		return x + "->writeJson($options)"
	default:
		return x // 32-bit integers; string concatenation converts
	}
}

// jsonIn reads the value from decoded JSON.
func (v value) jsonIn(x string) string {
	in := func(fn string) string {
		return fmt.Sprintf("%s::%s(%s, %s)", v.f.rt(`Json\JsonIn`), fn, x, v.where)
	}
	switch v.kind() {
	case protoreflect.BoolKind:
		return in("bool")
	case protoreflect.StringKind:
		return in("string")
	case protoreflect.BytesKind:
		return in("bytes")
	case protoreflect.DoubleKind:
		return in("double")
	case protoreflect.FloatKind:
		return in("float")
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return in("int32")
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return in("uint32")
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return in("uint64")
	case protoreflect.EnumKind:
		if v.fd.Enum().FullName() == nullValueType {
			return fmt.Sprintf("null === %s ? %s : %s::enum(%s, %s::class, $options, %s)", x, v.zero(), v.f.rt(`Json\JsonIn`), x, v.class(), v.where)
		}
		return fmt.Sprintf("%s::enum(%s, %s::class, $options, %s)", v.f.rt(`Json\JsonIn`), x, v.class(), v.where)
	case protoreflect.MessageKind:
		if _, ok := v.native(); ok {
			return fmt.Sprintf("%s::fromJsonValue(%s, %s)", v.class(), x, v.where)
		}
		return fmt.Sprintf("%s::readJson(%s, $options, $depth - 1)", v.class(), x)
	default:
		return in("int64")
	}
}

// nullInJSON tells the two types for which JSON's null is a value, not absence.
func (v value) nullInJSON() bool {
	switch v.kind() {
	case protoreflect.EnumKind:
		return v.fd.Enum().FullName() == nullValueType
	case protoreflect.MessageKind:
		return v.fd.Message().FullName() == valueType
	}
	return false
}

func (v value) tagBytes() []byte { return protowire.AppendTag(nil, v.fd.Number(), v.wireType()) }
