package main

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// messagesPerType is how many random messages of each type travel: usually 20,000 of our contracts together, binary and JSON.
// SWITCHYARD_ROUNDTRIP=20000 sends as many of each type, which takes a quarter of an hour.
func messagesPerType(t *testing.T, usual int) int {
	return number(t, "SWITCHYARD_ROUNDTRIP", usual)
}

// number reads an environment variable.
func number(t *testing.T, name string, usual int) int {
	s := os.Getenv(name)
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// subjects are contracts with their messages.
type subjects struct {
	req   *pluginpb.CodeGeneratorRequest
	types []protoreflect.MessageDescriptor
	any   *dynamicpb.Types
}

func subjectsOf(t *testing.T, req *pluginpb.CodeGeneratorRequest) subjects {
	t.Helper()
	files := registry(t, req)
	s := subjects{req: req, any: dynamicpb.NewTypes(files)}
	for _, path := range req.GetFileToGenerate() {
		fd, err := files.FindFileByPath(path)
		if err != nil {
			t.Fatal(err)
		}
		collect(fd, func(d protoreflect.Descriptor) {
			if md, ok := d.(protoreflect.MessageDescriptor); ok {
				s.types = append(s.types, md)
			}
		})
	}
	return s
}

// randomizer is the same in each run, unless SWITCHYARD_SEED says otherwise.
func (s subjects) randomizer(t *testing.T, stream uint64) *randomizer {
	seed := number(t, "SWITCHYARD_SEED", 7)
	r := &randomizer{Rand: rand.New(rand.NewPCG(stream, uint64(seed))), contents: s.types[:min(3, len(s.types))]}
	for _, name := range []protoreflect.FullName{"google.protobuf.Duration", "google.protobuf.Int64Value", "google.protobuf.Empty"} {
		if mt, err := s.any.FindMessageByName(name); err == nil {
			r.contents = append(r.contents, mt.Descriptor())
		}
	}
	return r
}

// ownContracts is the request for everything below proto/.
func ownContracts(t testing.TB) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	if _, err := os.Stat(contracts[0]); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no contracts in proto/")
	}
	return request(t, nil, contracts, "", protoFiles(t, contracts[0])...)
}

func TestMessagesTravelGoToPHPAndBack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"imports", "names", "scalars", "shapes", "wellknown"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roundTrip(t, subjectsOf(t, caseRequest(t, name)), messagesPerType(t, 300))
		})
	}
	t.Run("own contracts", func(t *testing.T) {
		t.Parallel()
		s := subjectsOf(t, ownContracts(t))
		roundTrip(t, s, messagesPerType(t, 20000/len(s.types)+1))
	})
}

func roundTrip(t *testing.T, s subjects, n int) {
	p := startPeer(t, s.req)
	r := s.randomizer(t, 1)
	total := 0
	for _, md := range s.types {
		var sent []*dynamicpb.Message
		var frames []*frame
		for i := range n {
			r.unknowns = i%2 == 1
			m := r.message(md, 3)
			raw, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			name := string(md.FullName())
			frames = append(frames, &frame{op: 'b', typ: name, payload: raw}, &frame{op: 'w', typ: name, payload: raw})
			r.unknowns = false
			known := proto.Clone(m)
			clearUnknown(known.ProtoReflect())
			js, err := protojson.MarshalOptions{Resolver: s.any}.Marshal(known)
			if err != nil {
				t.Fatalf("%s: Go cannot write JSON of its own message: %v", md.FullName(), err)
			}
			frames = append(frames, &frame{op: 'j', typ: name, payload: raw}, &frame{op: 'f', typ: name, payload: js})
			sent = append(sent, m)
		}
		if err := p.exchange(frames); err != nil {
			t.Fatal(err)
		}
		for i, f := range frames {
			if f.verdict != '+' {
				t.Fatalf("%s: operation %c of %q: %s", md.FullName(), f.op, f.payload, f.answer)
			}
			want, got := proto.Message(sent[i/4]), proto.Message(dynamicpb.NewMessage(md))
			var err error
			if f.op == 'j' {
				err = protojson.UnmarshalOptions{Resolver: s.any}.Unmarshal(f.answer, got)
			} else {
				err = proto.Unmarshal(f.answer, got)
			}
			if err != nil {
				t.Fatalf("%s: Go does not read what PHP wrote by %c: %v\n%q", md.FullName(), f.op, err, f.answer)
			}
			if f.op == 'j' || f.op == 'f' {
				want = proto.Clone(want)
				clearUnknown(want.ProtoReflect())
			}
			if !same(want, got) {
				t.Fatalf("%s differs after %c of %q:\n%s", md.FullName(), f.op, f.payload, cmp.Diff(want, got, protocmp.Transform()))
			}
		}
		total += len(frames)
	}
	t.Logf("%d trips of %d types", total, len(s.types))
}

// clearUnknown removes unknown fields at every level, also inside Any where it can be parsed.
func clearUnknown(m protoreflect.Message) {
	m.SetUnknown(nil)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { clearUnknown(v.Message()); return true })
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				clearUnknown(v.List().Get(i).Message())
			}
		case !fd.IsMap() && fd.Message() != nil:
			clearUnknown(v.Message())
		}
		return true
	})
}

// same is proto.Equal that looks into the bytes of Any, whose maps may be ordered otherwise.
func same(a, b proto.Message) bool {
	if proto.Equal(a, b) {
		return true
	}
	opts := proto.MarshalOptions{Deterministic: true}
	x, _ := opts.Marshal(canonical(a))
	y, _ := opts.Marshal(canonical(b))
	return bytes.Equal(x, y)
}

// canonical sorts the bytes inside each Any of a copy: equal contents then have equal bytes.
func canonical(m proto.Message) proto.Message {
	c := proto.Clone(m)
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		if m.Descriptor().FullName() == "google.protobuf.Any" {
			fd := m.Descriptor().Fields().ByName("value")
			b := slices.Clone(m.Get(fd).Bytes())
			slices.Sort(b)
			m.Set(fd, protoreflect.ValueOfBytes(b))
			return
		}
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.IsMap() && fd.MapValue().Message() != nil:
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { walk(v.Message()); return true })
			case fd.IsList() && fd.Message() != nil:
				for i := range v.List().Len() {
					walk(v.List().Get(i).Message())
				}
			case !fd.IsMap() && fd.Message() != nil:
				walk(v.Message())
			}
			return true
		})
	}
	walk(c.ProtoReflect())
	return c
}

func TestPackedAndUnpackedListsAreBothRead(t *testing.T) {
	t.Parallel()
	s := subjectsOf(t, caseRequest(t, "scalars"))
	p := startPeer(t, s.req)
	packed, _ := s.any.FindMessageByName("test.scalars.v1.Packed")
	unpacked, _ := s.any.FindMessageByName("test.scalars.v1.Unpacked")
	r := s.randomizer(t, 2)
	for range 200 {
		m := r.message(packed.Descriptor(), 2)
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		frames := []*frame{{op: 'b', typ: string(unpacked.Descriptor().FullName()), payload: raw}}
		if err := p.exchange(frames); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, &frame{op: 'b', typ: string(packed.Descriptor().FullName()), payload: frames[0].answer})
		if err := p.exchange(frames[1:]); err != nil {
			t.Fatal(err)
		}
		got := dynamicpb.NewMessage(packed.Descriptor())
		if err := proto.Unmarshal(frames[1].answer, got); err != nil || frames[1].verdict != '+' {
			t.Fatal(err, string(frames[1].answer))
		}
		if !proto.Equal(m, got) {
			t.Fatal(cmp.Diff(m, got, protocmp.Transform()))
		}
	}
}

// TestMutatedBytesAreAMessageOrAnException also compares with Go: what Go reads PHP must
// read to the same message, and what Go refuses PHP must refuse.
func TestMutatedBytesAreAMessageOrAnException(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"scalars", "shapes", "wellknown"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subjectsOf(t, caseRequest(t, name))
			mutate(t, s, messagesPerType(t, 30000/len(s.types)))
		})
	}
	t.Run("own contracts", func(t *testing.T) {
		t.Parallel()
		s := subjectsOf(t, ownContracts(t))
		mutate(t, s, messagesPerType(t, 100000/len(s.types)+1))
	})
}

func mutate(t *testing.T, s subjects, n int) {
	p := startPeer(t, s.req)
	r := s.randomizer(t, 3)
	read, refused := 0, 0
	for _, md := range s.types {
		var frames []*frame
		for i := range n {
			r.unknowns = i%2 == 0
			raw, err := proto.Marshal(r.message(md, 3))
			if err != nil {
				t.Fatal(err)
			}
			frames = append(frames, &frame{op: 'b', typ: string(md.FullName()), payload: r.mutated(raw)})
		}
		if err := p.exchange(frames); err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if f.verdict == '!' {
				t.Fatalf("%s: %x\n%s", f.typ, f.payload, f.answer)
			}
			want, got := dynamicpb.NewMessage(md), dynamicpb.NewMessage(md)
			goErr, crashed := unmarshal(f.payload, want)
			switch {
			case crashed:
			case f.verdict == '-' && strings.Contains(string(f.answer), "outside the years"):
				refused++ // a Timestamp that is no time; Go keeps its numbers
			case f.verdict == '-' && goErr == nil:
				t.Fatalf("%s: PHP refuses what Go reads: %s\n%x", f.typ, f.answer, f.payload)
			case f.verdict == '-':
				refused++
			case goErr != nil:
				t.Fatalf("%s: PHP reads what Go refuses (%v)\n%x", f.typ, goErr, f.payload)
			default:
				read++
				if err := proto.Unmarshal(f.answer, got); err != nil {
					t.Fatal(err)
				}
				simplify(want.ProtoReflect())
				simplify(got.ProtoReflect())
				if !same(want, got) {
					t.Fatalf("%s: PHP and Go read differently: %x\n%s", f.typ, f.payload, cmp.Diff(want, got, protocmp.Transform()))
				}
			}
		}
	}
	t.Logf("%d read, %d refused", read, refused)
	if read == 0 || refused == 0 {
		t.Error("mutation is too weak or too strong to prove anything")
	}
}

// unmarshal survives protobuf-go 1.36.12, which panics when a map entry has its key twice and
// the second time with another wire type.
func unmarshal(b []byte, m proto.Message) (err error, crashed bool) {
	defer func() { crashed = recover() != nil }()
	return proto.Unmarshal(b, m), false
}

// simplify removes what PHP is documented not to keep: unknown fields inside Timestamp and
// wrappers, and numbers of NullValue.
func simplify(m protoreflect.Message) {
	if wk := wellKnowns[m.Descriptor().FullName()]; wk.native != "" {
		m.SetUnknown(nil)
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.FullName() == "google.protobuf.Value.null_value":
			m.Set(fd, protoreflect.ValueOfEnum(0))
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { simplify(v.Message()); return true })
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				simplify(v.List().Get(i).Message())
			}
		case !fd.IsMap() && fd.Message() != nil:
			simplify(v.Message())
		}
		return true
	})
}

// mutated changes a few places of a message: bits, lengths, pieces cut out or put in twice.
func (r *randomizer) mutated(b []byte) []byte {
	b = slices.Clone(b)
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return append(b, byte(r.Uint32()))
		}
		at := r.IntN(len(b))
		switch r.IntN(7) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2:
			b = b[:at]
		case 3:
			b = slices.Insert(b, at, byte(r.Uint32()))
		case 4:
			b = slices.Delete(b, at, at+r.IntN(min(4, len(b)-at))+1)
		case 5:
			end := at + r.IntN(len(b)-at)
			b = append(b, b[at:end]...)
		case 6:
			b = slices.Insert(b, at, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
		}
	}
	return b
}

func TestMutatedJSONIsAMessageOrAnException(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"scalars", "shapes", "wellknown"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subjectsOf(t, caseRequest(t, name))
			p := startPeer(t, s.req)
			r := s.randomizer(t, 4)
			for _, md := range s.types {
				var frames []*frame
				for range messagesPerType(t, 500) {
					js, err := protojson.MarshalOptions{Resolver: s.any}.Marshal(r.message(md, 3))
					if err != nil {
						t.Fatal(err)
					}
					frames = append(frames, &frame{op: 'f', typ: string(md.FullName()), payload: r.mutatedJSON(js)})
				}
				if err := p.exchange(frames); err != nil {
					t.Fatal(err)
				}
				for _, f := range frames {
					if f.verdict == '!' {
						t.Fatalf("%s: %s\n%s", f.typ, f.payload, f.answer)
					}
				}
			}
		})
	}
}

// mutatedJSON swaps values for others, so that most results are still JSON.
func (r *randomizer) mutatedJSON(b []byte) []byte {
	pieces := []string{`null`, `[]`, `{}`, `""`, `"1e3"`, `1e400`, `-1`, `9223372036854775808`, `1.5`, `true`, `[null]`, `{"":null}`, `"NaN"`, `"9999-99-99T99:99:99Z"`, `"@type"`}
	for range 1 + r.IntN(2) {
		at := r.IntN(len(b) + 1)
		piece := pieces[r.IntN(len(pieces))]
		if colon := bytes.IndexByte(b[at:], ':'); colon >= 0 && r.IntN(3) > 0 {
			start := at + colon + 1
			end := start + bytes.IndexAny(append(slices.Clone(b[start:]), ','), ",}]")
			b = slices.Concat(b[:start], []byte(piece), b[end:])
		} else {
			b = r.mutated(b)
		}
	}
	return b
}
