package main

import (
	"math"
	"math/rand/v2"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// randomizer fills messages with values that are valid, also in JSON, and prefers the odd ones.
type randomizer struct {
	*rand.Rand
	contents []protoreflect.MessageDescriptor // what may be inside google.protobuf.Any
	unknowns bool                             // add unknown fields
	opaque   bool                             // the message goes into an Any
}

func (r *randomizer) message(md protoreflect.MessageDescriptor, depth int) *dynamicpb.Message {
	m := dynamicpb.NewMessage(md)
	if r.wellKnown(m, depth) {
		return m
	}
	density := r.IntN(4)
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if r.IntN(4) < density {
			continue
		}
		switch {
		case fd.IsMap():
			for range r.size(depth) {
				key := r.value(fd.MapKey(), depth)
				m.Mutable(fd).Map().Set(key.MapKey(), r.value(fd.MapValue(), depth))
			}
		case fd.IsList():
			for range r.size(depth) {
				m.Mutable(fd).List().Append(r.value(fd, depth))
			}
		case fd.Message() != nil && depth <= 0:
		default:
			m.Set(fd, r.value(fd, depth))
		}
	}
	if r.unknowns && r.IntN(4) == 0 {
		m.SetUnknown(r.unknownField(md))
	}
	return m
}

func (r *randomizer) size(depth int) int {
	if depth <= 0 {
		return 0
	}
	return []int{0, 1, 1, 2, 3}[r.IntN(5)]
}

func (r *randomizer) unknownField(md protoreflect.MessageDescriptor) []byte {
	num := protowire.Number(5000 + r.IntN(3))
	if r.IntN(3) == 0 {
		num = 99
	}
	for md.Fields().ByNumber(num) != nil {
		num++
	}
	switch r.IntN(5) {
	case 0:
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), r.Uint64())
	case 1:
		return protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), r.Uint32())
	case 2:
		return protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), r.Uint64())
	case 3:
		b := protowire.AppendTag(nil, num, protowire.StartGroupType)
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), 7)
		return protowire.AppendTag(b, num, protowire.EndGroupType)
	default:
		return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), r.text(true))
	}
}

func (r *randomizer) value(fd protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(r.enum(fd.Enum()))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(r.bits()))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(r.bits()))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(r.bits()))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(r.bits())
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(r.float()))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(r.float())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(r.text(!fd.ContainingMessage().IsMapEntry()))
	case protoreflect.BytesKind:
		b := make([]byte, r.IntN(20))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return protoreflect.ValueOfBytes(b)
	default:
		return protoreflect.ValueOfMessage(r.message(fd.Message(), depth-1))
	}
}

func (r *randomizer) enum(ed protoreflect.EnumDescriptor) protoreflect.EnumNumber {
	if ed.FullName() == nullValueType {
		return 0
	}
	if r.IntN(5) == 0 {
		return protoreflect.EnumNumber(int32(r.bits()))
	}
	return ed.Values().Get(r.IntN(ed.Values().Len())).Number()
}

// bits are numbers of every length, edges included.
func (r *randomizer) bits() uint64 {
	edges := []uint64{0, 1, 127, 128, 255, 16383, 16384, math.MaxInt32, math.MaxInt32 + 1, math.MaxUint32, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64, math.MaxUint64 - 127}
	if r.IntN(2) == 0 {
		return edges[r.IntN(len(edges))]
	}
	v := r.Uint64() >> r.IntN(64)
	if r.IntN(4) == 0 {
		return -v
	}
	return v
}

func (r *randomizer) float() float64 {
	f := r.anyFloat()
	if r.opaque && math.IsNaN(f) {
		return 1.25 // inside Any bytes are compared, and languages differ in the bits of NaN
	}
	return f
}

func (r *randomizer) anyFloat() float64 {
	edges := []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e25, 1.5e-45, math.SmallestNonzeroFloat64, math.MaxFloat64, math.MaxFloat32, math.NaN(), math.Inf(1), math.Inf(-1), 16777217, 1 << 53}
	switch r.IntN(4) {
	case 0:
		return edges[r.IntN(len(edges))]
	case 1:
		return float64(math.Float32frombits(r.Uint32()))
	case 2:
		return math.Float64frombits(r.Uint64())
	default:
		return math.Round(r.Float64()*1e4) / 1e4
	}
}

// text is valid UTF-8. PHP's json_decode refuses a NUL at the start of an object's key, see the reference.
func (r *randomizer) text(nulFirst bool) string {
	alphabet := []rune("ab0 1é\"\\/\n\t<&'€\u2028漢😀\u0000\u007f\ufffd\U0010ffff")
	if r.IntN(8) == 0 {
		return []string{"", "0", "-1", "true", "null", "08", "1.5", strings.Repeat("x", 127), strings.Repeat("ü", 64), strings.Repeat("y", 16384)}[r.IntN(10)]
	}
	var b strings.Builder
	for i := range r.IntN(12) {
		c := alphabet[r.IntN(len(alphabet))]
		if c == 0 && i == 0 && !nulFirst {
			c = 'k'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// wellKnown fills the types whose content has rules.
func (r *randomizer) wellKnown(m *dynamicpb.Message, depth int) bool {
	set := func(name protoreflect.Name, v any) {
		m.Set(m.Descriptor().Fields().ByName(name), protoreflect.ValueOf(v))
	}
	nanos := func() int32 {
		return []int32{0, 1, 1000, 999999999, 500000000, 123456000, 7000000, r.Int32N(1e9)}[r.IntN(8)]
	}
	switch m.Descriptor().FullName() {
	case "google.protobuf.Timestamp":
		const low, high = -62135596800, 253402300799
		set("seconds", []int64{0, low, high, -1, 1, low + r.Int64N(high-low), r.Int64N(2e9), -r.Int64N(2e9)}[r.IntN(8)])
		set("nanos", nanos())
	case "google.protobuf.Duration":
		sign := int64(1 - 2*r.IntN(2))
		set("seconds", sign*[]int64{0, 1, 315576000000, r.Int64N(1e6)}[r.IntN(4)])
		n := nanos()
		if m.Get(m.Descriptor().Fields().ByName("seconds")).Int() == sign*315576000000 {
			n = 0
		}
		set("nanos", int32(sign)*n)
	case "google.protobuf.FieldMask":
		list := m.Mutable(m.Descriptor().Fields().ByName("paths")).List()
		for range r.IntN(3) {
			list.Append(protoreflect.ValueOfString([]string{"a", "foo_bar", "foo.bar_baz", "x1.y2", "a_b_c"}[r.IntN(5)]))
		}
	case "google.protobuf.Any":
		if depth <= 0 || len(r.contents) == 0 {
			return true
		}
		plain := *r
		plain.unknowns = false // the JSON form has no place for them
		plain.opaque = true
		content := plain.message(r.contents[r.IntN(len(r.contents))], depth-1)
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(content)
		if err != nil {
			panic(err)
		}
		set("type_url", "type.googleapis.com/"+string(content.Descriptor().FullName()))
		set("value", raw)
	case "google.protobuf.Value":
		switch kind := r.IntN(6); {
		case kind == 0:
			set("null_value", protoreflect.EnumNumber(0))
		case kind == 1:
			f := r.float()
			if math.IsNaN(f) || math.IsInf(f, 0) {
				f = 2.5
			}
			set("number_value", f)
		case kind == 2:
			set("bool_value", r.IntN(2) == 0)
		case kind == 3 && depth > 0:
			set("struct_value", r.message(m.Descriptor().Fields().ByName("struct_value").Message(), depth-1))
		case kind == 4 && depth > 0:
			set("list_value", r.message(m.Descriptor().Fields().ByName("list_value").Message(), depth-1))
		default:
			set("string_value", r.text(true))
		}
	case "google.protobuf.Struct", "google.protobuf.ListValue":
		fd := m.Descriptor().Fields().Get(0)
		for range r.IntN(3) {
			if fd.IsMap() {
				m.Mutable(fd).Map().Set(r.value(fd.MapKey(), depth).MapKey(), r.value(fd.MapValue(), depth))
			} else {
				m.Mutable(fd).List().Append(r.value(fd, depth))
			}
		}
	case "google.protobuf.Empty":
	default:
		if wk := wellKnowns[m.Descriptor().FullName()]; wk.class == "" {
			return false
		}
		fd := m.Descriptor().Fields().Get(0) // a wrapper
		m.Set(fd, r.value(fd, depth))
	}
	return true
}
