package redact

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// Rules say what of a project's data is masked beside what has a form.
type Rules struct {
	Names  Names
	Fields map[string]bool // keys of maps whose values are masked whole
}

// Text masks a text by the rules.
func (r Rules) Text(s string) string { return r.Names.mask(Text(s)) }

// Message masks what the contract calls content in m, at any depth, in place. Identifiers and secrets stay: they are not texts, and a message that is
// kept should have none that its owner does not want kept.
func (r Rules) Message(m proto.Message) { r.message(m.ProtoReflect(), false) }

// message masks the content of m; inside says that m itself stands in a field that is content.
func (r Rules) message(m protoreflect.Message, inside bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		content := inside || ClassOf(f) == commonv1.DataClass_DATA_CLASS_CONTENT
		switch {
		case f.IsMap():
			r.entries(f, v.Map(), content)
		case f.IsList():
			r.list(f, v.List(), content)
		case f.Message() != nil:
			r.message(v.Message(), content)
		case content:
			if masked, changed := r.scalar(f, v); changed {
				m.Set(f, masked)
			}
		}
		return true
	})
}

func (r Rules) list(f protoreflect.FieldDescriptor, l protoreflect.List, content bool) {
	for i := range l.Len() {
		if f.Message() != nil {
			r.message(l.Get(i).Message(), content)
		} else if masked, changed := r.scalar(f, l.Get(i)); content && changed {
			l.Set(i, masked)
		}
	}
}

func (r Rules) entries(f protoreflect.FieldDescriptor, entries protoreflect.Map, content bool) {
	entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		whole := content && r.Fields[k.String()]
		switch {
		case f.MapValue().Message() != nil && whole:
			r.whole(v.Message())
		case f.MapValue().Message() != nil:
			r.message(v.Message(), content)
		case whole && f.MapValue().Kind() == protoreflect.StringKind:
			entries.Set(k, protoreflect.ValueOfString(maskAll))
		case content:
			if masked, changed := r.scalar(f.MapValue(), v); changed {
				entries.Set(k, masked)
			}
		}
		return true
	})
}

// whole masks a value of a map whatever it is: a field value becomes a text.
func (r Rules) whole(m protoreflect.Message) {
	if v, ok := m.Interface().(*commonv1.FieldValue); ok {
		v.Value = &commonv1.FieldValue_Text{Text: maskAll}
		return
	}
	proto.Reset(m.Interface())
}

func (r Rules) scalar(f protoreflect.FieldDescriptor, v protoreflect.Value) (protoreflect.Value, bool) {
	if f.Kind() != protoreflect.StringKind {
		return v, false
	}
	masked := r.Text(v.String())
	return protoreflect.ValueOfString(masked), masked != v.String()
}

// ClassOf returns what the contract says that a field may hold.
func ClassOf(f protoreflect.FieldDescriptor) commonv1.DataClass {
	if !proto.HasExtension(f.Options(), commonv1.E_Data) {
		return commonv1.DataClass_DATA_CLASS_UNSPECIFIED
	}
	class, _ := proto.GetExtension(f.Options(), commonv1.E_Data).(commonv1.DataClass)
	return class
}
