package ledger

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// filled sets every field of a message to something, or each with that probability.
func filled(m protoreflect.Message, r *rand.Rand, probability float64) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if r.Float64() >= probability || f.ContainingOneof() != nil && m.WhichOneof(f.ContainingOneof()) != nil {
			continue
		}
		scalar := func() protoreflect.Value {
			switch f.Kind() {
			case protoreflect.StringKind:
				return protoreflect.ValueOfString(string(rune('a'+r.IntN(26))) + "é text")
			case protoreflect.BytesKind:
				return protoreflect.ValueOfBytes([]byte{byte(r.IntN(256)), 0, 255})
			case protoreflect.BoolKind:
				return protoreflect.ValueOfBool(true)
			case protoreflect.Int32Kind:
				return protoreflect.ValueOfInt32(r.Int32N(2_000_000_000) - 1_000_000_000)
			case protoreflect.Int64Kind:
				return protoreflect.ValueOfInt64(r.Int64N(2_000_000_000) - 1_000_000_000)
			case protoreflect.FloatKind:
				return protoreflect.ValueOfFloat32(r.Float32())
			case protoreflect.DoubleKind:
				return protoreflect.ValueOfFloat64(r.NormFloat64())
			case protoreflect.EnumKind:
				return protoreflect.ValueOfEnum(protoreflect.EnumNumber(r.IntN(12))) // some are in no contract yet
			}
			panic("a kind of field that the test does not know: " + f.Kind().String())
		}
		switch {
		case f.IsMap():
			for range 1 + r.IntN(3) {
				v := m.Mutable(f).Map().NewValue()
				filled(v.Message(), r, 1)
				m.Mutable(f).Map().Set(protoreflect.ValueOfString(string(rune('a'+r.IntN(26)))).MapKey(), v)
			}
		case f.IsList() && f.Message() != nil:
			for range 1 + r.IntN(12) {
				filled(m.Mutable(f).List().AppendMutable().Message(), r, probability)
			}
		case f.IsList():
			for range 1 + r.IntN(4) {
				m.Mutable(f).List().Append(scalar())
			}
		case f.Message() != nil:
			filled(m.Mutable(f).Message(), r, probability)
		default:
			m.Set(f, scalar())
		}
	}
}

func TestARowMadeOfBytesIsTheRowMadeOfTheMessage(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	w := newWireRows()
	var got lake.Decision // one for all, as the lake does it: nothing of the row before must be left
	for i := range 3000 {
		record := &commonv1.DecisionRecord{}
		filled(record.ProtoReflect(), r, []float64{1, 0.5, 0.1}[i%3])
		data, err := proto.MarshalOptions{}.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		want, err := decisionRow(record, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, 0xfa, 0x07, 1, 'x') // a field of a later release
		if err := w.decision(&lake.Record{Seq: uint64(i), Data: data}, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("record %d:\n%s", i, diff)
		}
		head, err := recordOf(data)
		if err != nil || head.Key != want.DecisionID || head.Project != want.Project || record.GetDecision().GetTime() != nil && !head.Time.Equal(record.GetDecision().GetTime().AsTime()) {
			t.Fatalf("record %d: %v, %+v", i, err, head)
		}
	}
}

func TestADamagedRecordIsRefusedOrRead(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	record := &commonv1.DecisionRecord{}
	filled(record.ProtoReflect(), r, 1)
	data, err := proto.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	w := newWireRows()
	refused := 0
	for i := range data {
		if w.decision(&lake.Record{Data: data[:i]}, &lake.Decision{}) != nil {
			refused++
		}
		broken := append([]byte(nil), data...)
		broken[i] ^= byte(1 + r.IntN(255))
		_ = w.decision(&lake.Record{Data: broken}, &lake.Decision{}) // must not panic
	}
	if refused < len(data)/2 {
		t.Fatalf("%d of %d beginnings are refused", refused, len(data))
	}
	if err := w.decision(&lake.Record{Data: []byte{0x12, 1, 'x', 0x6a, 1, 0xff}}, &lake.Decision{}); err == nil {
		t.Fatal("a text that is not UTF-8 is taken")
	}
}

func BenchmarkDecisionRow(b *testing.B) {
	record := &commonv1.DecisionRecord{}
	filled(record.ProtoReflect(), rand.New(rand.NewPCG(5, 6)), 1)
	record.Input.Fields = nil
	data, err := proto.Marshal(record)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("of bytes", func(b *testing.B) {
		b.ReportAllocs()
		w, row := newWireRows(), lake.Decision{}
		for b.Loop() {
			if err := w.decision(&lake.Record{Data: data}, &row); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("of the message", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m := &commonv1.DecisionRecord{}
			if err := proto.Unmarshal(data, m); err != nil {
				b.Fatal(err)
			}
			if _, err := decisionRow(m, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
