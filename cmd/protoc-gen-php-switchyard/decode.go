package main

import (
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
func (f *phpFile) read(md protoreflect.MessageDescriptor, fields []field) {
	f.open("public static function read(string $b, int $i, int $end, int $depth): static\n    {")
	f.open("if ($depth < 0) {")
	f.p("throw %s::depth(%s);", f.rt(`Message\DecodeException`), quote(string(md.FullName())))
	f.close("}")
	wide := false
	for _, x := range fields {
		wide = wide || x.fd.Number() > 15
		if f.deferred(x) {
			f.p("%s = -1;", x.local("s"))
			f.p("%s = 0;", x.local("e"))
			f.p("%s = null;", x.local("r"))
		} else {
			f.p("%s = %s;", x.local("f"), x.initial())
		}
	}
	f.p("$unknown = '';")
	f.open("while ($i < $end) {")
	f.p("$start = $i;")
	f.open(`if (($tag = \ord($b[$i++])) > 0x7F) {`)
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
	}
	f.close("}")
	f.open("switch ($tag) {")
	for _, x := range fields {
		f.readField(x)
	}
	f.open("default:")
	f.p("$i = %s::skip($b, $i, $end, $tag);", f.rt(`Wire\Wire`))
	f.p(`$unknown .= \substr($b, $start, $i - $start);`)
	f.indent--
	f.close("}")
	f.close("}")
	f.p("")
	f.open("return new self(")
	for _, x := range fields {
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

func (f *phpFile) deferred(x field) bool {
	return x.isMessage() && !x.fd.IsList() && !x.fd.IsMap()
}

func (f *phpFile) readField(x field) {
	name := x.fd.Name()
	switch {
	case x.fd.IsMap():
		f.open("case %d: // %s", x.tagNumber(protowire.BytesType), name)
		f.readMapEntry(x)
	case x.fd.IsList() && x.packable():
		f.open("case %d: // %s, packed", x.tagNumber(protowire.BytesType), name)
		f.readPacked(x)
		f.p("break;")
		f.indent--
		f.open("case %d: // %s", x.tagNumber(x.wireType()), name)
		f.readInto(x.value, x.local("f")+"[]", "$end")
	case f.deferred(x):
		f.open("case %d: // %s", x.tagNumber(protowire.BytesType), name)
		f.readLength("$end", x.where)
		s, e, r := x.local("s"), x.local("e"), x.local("r")
		f.open("if (%s < 0) {", s)
		f.p("%s = $i;", s)
		f.p("%s = $i + $n;", e)
		f.indent--
		f.open("} else {")
		f.p(`%s ??= \substr($b, %s, %s - %s);`, r, s, e, s)
		f.p(`%s .= \substr($b, $i, $n);`, r)
		f.close("}")
		f.p("$i += $n;")
	case x.fd.IsList():
		f.open("case %d: // %s", x.tagNumber(x.wireType()), name)
		f.readInto(x.value, x.local("f")+"[]", "$end")
	default:
		f.open("case %d: // %s", x.tagNumber(x.wireType()), name)
		f.readInto(x.value, x.local("f"), "$end")
	}
	f.clearOthers(x)
	f.p("break;")
	f.indent--
}

// clearOthers unsets the other members of a oneof: the last one on the wire counts.
func (f *phpFile) clearOthers(x field) {
	od := x.oneof()
	if od == nil {
		return
	}
	for i := range od.Fields().Len() {
		other := od.Fields().Get(i)
		if other.Number() == x.fd.Number() {
			continue
		}
		y := field{value: value{fd: other}}
		if f.deferred(y) {
			f.p("%s = -1;", y.local("s"))
			f.p("%s = null;", y.local("r"))
		} else {
			f.p("%s = null;", y.local("f"))
		}
	}
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
			f.p(`1 === \preg_match('//u', $v) || throw %s::utf8(%s);`, f.rt(`Message\DecodeException`), x.where)
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
	f.open("} else {")
	f.p("%s = %s::readVarint($b, $i, %s);", target, f.rt(`Wire\Wire`), end)
	f.close("}")
}

// readLength leaves a checked length in $n and $i behind it.
func (f *phpFile) readLength(end, where string) {
	f.readVarint("$n", end)
	f.open("if ($n < 0 || $n > %s - $i) {", end)
	f.p("throw %s::truncated(%s);", f.rt(`Message\DecodeException`), where)
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
		f.p("$m = '';")
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
		f.p(`$m .= \substr($b, $i, $n);`)
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
		f.p("%s[$k] = %s;", x.local("f"), x.elem.messageIn("$m", "0", `\strlen($m)`))
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
