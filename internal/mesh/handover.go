package mesh

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
)

func errNotProto(v any) error { return fmt.Errorf("%T is not a protobuf message", v) }

// handOver fills dst with src. Messages of one Go type are copied shallowly: what they point to is shared, which is safe because
// neither side changes a message after it was sent (grpc-go asks for the same: "It is not safe to modify the message after calling
// SendMsg"). Other types, such as dynamic messages, are serialised.
func handOver(dst, src any) error {
	d, s := reflect.ValueOf(dst), reflect.ValueOf(src)
	if d.Kind() == reflect.Pointer && d.Type() == s.Type() {
		if s.IsNil() {
			d.Elem().SetZero()
			return nil
		}
		if _, dynamic := src.(interface{ Interface() proto.Message }); !dynamic {
			d.Elem().Set(s.Elem())
			return nil
		}
	}
	from, ok := src.(proto.Message)
	if !ok {
		return errNotProto(src)
	}
	to, ok := dst.(proto.Message)
	if !ok {
		return errNotProto(dst)
	}
	wire, err := proto.Marshal(from)
	if err != nil {
		return fmt.Errorf("hand over %T: %w", src, err)
	}
	if err := proto.Unmarshal(wire, to); err != nil {
		return fmt.Errorf("hand over %T: %w", src, err)
	}
	return nil
}

// snapshot returns a shallow copy of a message, for its receiver to take later.
func snapshot(m any) (any, error) {
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return nil, errNotProto(m)
	}
	if _, dynamic := m.(interface{ Interface() proto.Message }); dynamic {
		msg, ok := m.(proto.Message)
		if !ok {
			return nil, errNotProto(m)
		}
		return proto.Clone(msg), nil
	}
	c := reflect.New(v.Type().Elem())
	c.Elem().Set(v.Elem())
	return c.Interface(), nil
}
