package main

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// read writes the binary decoder. Locals are named after field numbers, so that no name of
// the contract can collide with the decoder's own:
//
//	$f1        value of field 1
//	$s3 $e3    where the bytes of message field 3 start and end, -1 while absent
//	$r3        their concatenation when the field came more than once: protobuf merges
//	           repeated singular messages, and reading the concatenation is that merge.
//	           Reading waits until the end, since reading twice per level is exponential.
//	$one0      number of the member of oneof 0 that came last, 0 for none
//	$set0      its value; for a message $from0, $to0, $raw0 as $s, $e, $r above
//
// $tag is a tag of one byte, which fields up to 15 have. Anything longer ends in the default
// branch, is read there and comes back: negative, so that no first byte is taken for it. What
// has a short tag in a long form, which is allowed, comes back as the short one.
func (f *phpFile) read(md protoreflect.MessageDescriptor, fields []field) {
	f.open("public static function read(string $b, int $i, int $end, int $depth): static\n    {")
	f.open("if ($depth < 0) {")
	f.p("throw %s::depth(%s);", f.rt(`Message\DecodeException`), quote(string(md.FullName())))
	f.close("}")
	wide := false
	for i := range md.Oneofs().Len() {
		if od := md.Oneofs().Get(i); !od.IsSynthetic() {
			f.p("$one%d = 0;", i)
			f.p("$set%d = null;", i)
			if hasMessage(od) {
				f.p("$from%d = $to%d = 0;", i, i)
				f.p("$raw%d = null;", i)
			}
		}
	}
	for _, x := range fields {
		wide = wide || x.fd.Number() > 15
		if x.oneof() != nil {
			continue
		}
		if f.deferred(x) {
			f.p("%s = -1;", x.local("s"))
			f.p("%s = null;", x.local("r"))
		} else {
			f.p("%s = %s;", x.local("f"), x.initial())
		}
	}
	f.p("$unknown = '';")
	f.open("while ($i < $end) {")
	f.p("$start = $i;")
	f.p(`$tag = \ord($b[$i++]);`)
	f.p("read:")
	f.open("switch ($tag) {")
	for _, x := range fields {
		f.readField(x)
	}
	f.open("default:")
	f.open("if ($tag > 0x7F && $i === $start + 1) {")
	if wide {
		f.open(`if ($i < $end && ($n = \ord($b[$i])) < 0x80) {`)
		f.p("$tag = $tag & 0x7F | $n << 7;")
		f.p("++$i;")
		f.indent--
		f.open("} else {")
	}
	f.p("$i = $start;")
	f.p("$tag = %s::readVarint($b, $i, $end);", f.rt(`Wire\Wire`))
	if wide {
		f.close("}")
		f.p("$tag = $tag > 0x7F ? -$tag : \\max(0, $tag);") // what has 64 bits is no tag, and must not become one
	}
	f.p("goto read;")
	f.close("}")
	tag := "$tag"
	if wide {
		tag = `\abs($tag)`
	}
	f.p("$i = %s::skip($b, $i, $end, %s);", f.rt(`Wire\Wire`), tag)
	f.p(`$unknown .= \substr($b, $start, $i - $start);`)
	f.indent--
	f.close("}")
	f.close("}")
	f.checkText(fields, "DecodeException", func(x field) string { return x.local("f") })
	for i := range md.Oneofs().Len() {
		if od := md.Oneofs().Get(i); hasMessage(od) {
			f.p("$set%d = %s ?? $set%d;", i, readOneof(od), i)
		}
	}
	f.p("")
	f.open("return new self(")
	for _, x := range fields {
		if od := x.oneof(); od != nil {
			f.p("%d === $one%d ? $set%d : null,", x.fd.Number(), od.Index(), od.Index())
			continue
		}
		if !f.deferred(x) {
			f.p("%s,", x.local("f"))
			continue
		}
		s, e, r := x.local("s"), x.local("e"), x.local("r")
		f.p("%s < 0 ? null : (null === %s ? %s : %s),", s, r, x.messageIn("$b", s, e), x.messageIn(r, "0", `\strlen(`+r+`)`))
	}
	f.p("$unknown,")
	f.close(");")
	f.close("}")
}

// hasMessage tells whether a real oneof has a member that is a message.
func hasMessage(od protoreflect.OneofDescriptor) bool {
	if od.IsSynthetic() {
		return false
	}
	for i := range od.Fields().Len() {
		if od.Fields().Get(i).Message() != nil {
			return true
		}
	}
	return false
}

// readOneof is the call of the function that oneofReaders writes.
func readOneof(od protoreflect.OneofDescriptor) string {
	return strings.ReplaceAll("self::readOneof#($one#, $b, $from#, $to#, $raw#, $depth)", "#", strconv.Itoa(od.Index()))
}

// oneofReaders writes, per oneof with messages, what reads the message member that came last.
func (f *phpFile) oneofReaders(md protoreflect.MessageDescriptor, fields []field) {
	for i := range md.Oneofs().Len() {
		od := md.Oneofs().Get(i)
		if !hasMessage(od) {
			continue
		}
		f.p("")
		f.open("private static function readOneof%d(int $member, string $b, int $i, int $end, ?string $raw, int $depth): mixed\n    {", i)
		f.open("if (null !== $raw) {")
		f.p("$b = $raw;")
		f.p("$i = 0;")
		f.p(`$end = \strlen($raw);`)
		f.close("}")
		f.p("")
		f.open("return match ($member) {")
		for _, x := range membersOf(od, fields) {
			if x.isMessage() {
				f.p("%d => %s,", x.fd.Number(), x.messageIn("$b", "$i", "$end"))
			}
		}
		f.p("default => null,")
		f.close("};")
		f.close("}")
	}
}

func (f *phpFile) deferred(x field) bool {
	return x.isMessage() && !x.fd.IsList() && !x.fd.IsMap()
}

func (f *phpFile) readField(x field) {
	name := x.fd.Name()
	switch {
	case x.fd.IsMap():
		f.open("case %d: // %s", x.caseNumber(protowire.BytesType), name)
		f.readMapEntry(x)
	case x.fd.IsList() && x.packable():
		f.open("case %d: // %s, packed", x.caseNumber(protowire.BytesType), name)
		f.readPacked(x)
		f.p("break;")
		f.indent--
		f.open("case %d: // %s", x.caseNumber(x.wireType()), name)
		f.readInto(x.value, x.local("f")+"[]", "$end")
	case x.oneof() != nil:
		f.open("case %d: // %s", x.caseNumber(x.wireType()), name)
		f.readMember(x)
	case f.deferred(x):
		f.open("case %d: // %s", x.caseNumber(protowire.BytesType), name)
		f.readLength("$end", x.where)
		s, e, r := x.local("s"), x.local("e"), x.local("r")
		f.open("if (%s < 0) {", s)
		f.p("%s = $i;", s)
		f.p("%s = $i + $n;", e)
		f.indent--
		f.open("} else {")
		f.p("%s::merge(%s, $b, %s, %s, $i, $n);", f.rt(`Wire\Wire`), r, s, e)
		f.close("}")
		f.p("$i += $n;")
	case x.fd.IsList() && x.checkedLater():
		f.open("case %d: // %s", x.caseNumber(x.wireType()), name)
		f.readLength("$end", x.where)
		f.p(`%s[] = \substr($b, $i, $n);`, x.local("f"))
		f.p("$i += $n;")
	case x.fd.IsList():
		f.open("case %d: // %s", x.caseNumber(x.wireType()), name)
		f.readInto(x.value, x.local("f")+"[]", "$end")
	case x.checkedLater():
		f.open("case %d: // %s", x.caseNumber(x.wireType()), name)
		// Only the last occurrence is checked with the others; an earlier one must be UTF-8 too.
		f.p("%[1]s && %[2]s::checkText(%[1]s, %[3]s);", x.local("f"), f.rt(`Wire\Wire`), x.where)
		f.readLength("$end", x.where)
		f.p(`%s = \substr($b, $i, $n);`, x.local("f"))
		f.p("$i += $n;")
	default:
		f.open("case %d: // %s", x.caseNumber(x.wireType()), name)
		f.readInto(x.value, x.local("f"), "$end")
	}
	f.p("break;")
	f.indent--
}

// readMember reads a member of a oneof: the last one on the wire counts.
func (f *phpFile) readMember(x field) {
	od, num := x.oneof(), x.fd.Number()
	k := od.Index()
	if x.isMessage() {
		f.readLength("$end", x.where)
		f.open("if (%d === $one%d) {", num, k)
		f.p("%[1]s::merge($raw%[2]d, $b, $from%[2]d, $to%[2]d, $i, $n);", f.rt(`Wire\Wire`), k)
		f.indent--
		f.open("} else {")
		f.p("0 === $one%d || %s;", k, readOneof(od))
		f.p("$one%d = %d;", k, num)
		f.p("$from%d = $i;", k)
		f.p("$to%d = $i + $n;", k)
		f.p("$raw%d = null;", k)
		f.close("}")
		f.p("$i += $n;")
		return
	}
	f.readInto(x.value, fmt.Sprintf("$set%d", k), "$end")
	if hasMessage(od) {
		// A member that is overwritten does not count, but malformed bytes are an error all the same.
		f.p("0 === $one%d || %s;", k, readOneof(od))
	}
	f.p("$one%d = %d;", k, num)
}

// readInto reads one value that is not a deferred message.
func (f *phpFile) readInto(x value, target, end string) {
	switch x.wireType() {
	case protowire.VarintType:
		f.readVarint("$v", end)
		f.p("%s = %s;", target, x.fromVarint("$v"))
	case protowire.Fixed64Type, protowire.Fixed32Type:
		width := 8
		if x.wireType() == protowire.Fixed32Type {
			width = 4
		}
		f.open("if (%d > %s - $i) {", width, end)
		f.p("throw %s::truncated(%s);", f.rt(`Message\DecodeException`), x.where)
		f.close("}")
		f.p("%s = %s;", target, x.fixedIn("$b", "$i"))
		f.p("$i += %d;", width)
	default:
		f.readLength(end, x.where)
		switch x.kind() {
		case protoreflect.StringKind:
			f.p(`$v = \substr($b, $i, $n);`)
			f.p("%s::checkText($v, %s);", f.rt(`Wire\Wire`), x.where)
			f.p("%s = $v;", target)
		case protoreflect.BytesKind:
			f.p(`%s = \substr($b, $i, $n);`, target)
		default:
			f.p("%s = %s;", target, x.messageIn("$b", "$i", "$i + $n"))
		}
		f.p("$i += $n;")
	}
}

func (f *phpFile) readVarint(target, end string) {
	f.open(`if ($i < %s && (%s = \ord($b[$i])) < 0x80) {`, end, target)
	f.p("++$i;")
	f.indent--
	f.open(`} elseif ($i + 1 < %s && ($n = \ord($b[$i + 1])) < 0x80) {`, end)
	f.p("%[1]s = %[1]s & 0x7F | $n << 7;", target)
	f.p("$i += 2;")
	f.indent--
	f.open("} else {")
	f.p("%s = %s::readVarint($b, $i, %s);", target, f.rt(`Wire\Wire`), end)
	f.close("}")
}

// readLength leaves a checked length in $n and $i behind it.
func (f *phpFile) readLength(end, where string) {
	f.open(`if ($i < %[1]s && ($n = \ord($b[$i])) < 0x80 && $n < %[1]s - $i) {`, end)
	f.p("++$i;")
	f.indent--
	f.open("} else {")
	f.p("$n = %s::readLength($b, $i, %s, %s);", f.rt(`Wire\Wire`), end, where)
	f.close("}")
}

func (f *phpFile) readPacked(x field) {
	f.readLength("$end", x.where)
	f.p("$stop = $i + $n;")
	f.open("while ($i < $stop) {")
	f.readInto(x.value, x.local("f")+"[]", "$stop")
	f.close("}")
}

func (f *phpFile) readMapEntry(x field) {
	f.readLength("$end", x.where)
	f.p("$stop = $i + $n;")
	f.p("$k = %s;", x.key.mapKeyZero())
	msg := x.elem.isMessage()
	if msg {
		f.p("$from = $to = -1;")
		f.p("$raw = null;")
	} else {
		f.p("$x = %s;", x.elem.zero())
	}
	f.open("while ($i < $stop) {")
	f.readVarint("$tag", "$stop")
	f.open("if (%d === $tag) {", x.key.tagNumber(x.key.wireType()))
	f.readInto(*x.key, "$k", "$stop")
	if x.key.kind() == protoreflect.BoolKind {
		f.p("$k = (int) $k;")
	}
	f.indent--
	f.open("} elseif (%d === $tag) {", x.elem.tagNumber(x.elem.wireType()))
	if msg {
		f.readLength("$stop", x.where)
		f.open("if ($from < 0) {")
		f.p("$from = $i;")
		f.p("$to = $i + $n;")
		f.indent--
		f.open("} else {")
		f.p("%s::merge($raw, $b, $from, $to, $i, $n);", f.rt(`Wire\Wire`))
		f.close("}")
		f.p("$i += $n;")
	} else {
		f.readInto(*x.elem, "$x", "$stop")
	}
	f.indent--
	f.open("} else {")
	f.p("$i = %s::skip($b, $i, $stop, $tag);", f.rt(`Wire\Wire`))
	f.close("}")
	f.close("}")
	if msg {
		// Without a value, $from and $to are equal: the default message.
		f.p("%s[$k] = null === $raw ? %s : %s;", x.local("f"), x.elem.messageIn("$b", "$from", "$to"), x.elem.messageIn("$raw", "0", `\strlen($raw)`))
	} else {
		f.p("%s[$k] = $x;", x.local("f"))
	}
}

func (v value) mapKeyZero() string {
	if v.kind() == protoreflect.StringKind {
		return "''"
	}
	return "0"
}
