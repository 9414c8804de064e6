package main

import "google.golang.org/protobuf/reflect/protoreflect"

func (f *phpFile) encode(fields []field) {
	f.open("public function encode(): string\n    {")
	if len(fields) == 0 {
		f.p("return $this->%s;", unknownProp)
		f.close("}")
		return
	}
	f.checkText(fields, "EncodeException", func(x field) string { return "$this->" + x.prop })
	f.p("$b = '';")
	for _, x := range fields {
		this := "$this->" + x.prop
		switch {
		case x.fd.IsMap():
			f.encodeMap(x, this)
		case x.fd.IsList():
			f.encodeList(x, this)
		default:
			f.encodeSingular(x, this)
		}
	}
	f.p("")
	f.p("return $b . $this->%s;", unknownProp)
	f.close("}")
}

func (f *phpFile) encodeSingular(x field, this string) {
	tag := x.tag(x.wireType())
	implicit := !x.nullable()
	switch x.kind() {
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		if implicit {
			// By its bytes, because -0.0 is a value and PHP's comparisons do not see it.
			zero := `"\0\0\0\0\0\0\0\0"`
			if x.kind() == protoreflect.FloatKind {
				zero = `"\0\0\0\0"`
			}
			f.open("if (%s !== $v = %s) {", zero, x.encoded(this))
			f.p("$b .= %s . $v;", tag)
			f.close("}")
			return
		}
	case protoreflect.EnumKind:
		if implicit {
			f.open(`if (0 !== $v = \is_int(%[1]s) ? %[1]s : %[1]s->value) {`, this)
		} else {
			f.open("if (null !== %s) {", this)
			f.p(`$v = \is_int(%[1]s) ? %[1]s : %[1]s->value;`, this)
		}
		f.p(`$b .= %s . ($v >= 0 && $v < 0x80 ? \chr($v) : %s::int32($v));`, tag, f.rt(`Wire\Wire`))
		f.close("}")
		return
	}
	switch {
	case implicit && x.kind() == protoreflect.BoolKind:
		f.open("if (%s) {", this)
		f.p("$b .= %s;", quoteBytes(string(x.tagBytes())+"\x01"))
		f.close("}")
		return
	case implicit:
		f.open("if (%s !== $v = %s) {", x.zero(), this)
	default:
		f.open("if (null !== $v = %s) {", this)
	}
	// From here on a variable: a property is looked up and checked each time.
	switch x.kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		f.appendBytes(x.value, x.checkedLater(), tag, "$v")
	default:
		f.p("$b .= %s . %s;", tag, x.encoded("$v"))
	}
	f.close("}")
}

// appendBytes writes a length-delimited value in line, without a call for short ones; checked
// tells that a string is known to be UTF-8.
func (f *phpFile) appendBytes(x value, checked bool, tag, expr string) {
	switch x.kind() {
	case protoreflect.StringKind:
		if !checked {
			f.p("%s::utf8(%s) || throw %s::utf8(%s);", f.rt(`Wire\Wire`), expr, f.rt(`Message\EncodeException`), x.where)
		}
	case protoreflect.MessageKind:
		f.p("$v = %s;", x.messageBytes(expr))
		expr = "$v"
	}
	f.p(`$n = \strlen(%s);`, expr)
	f.p(`$b .= %s . ($n < 0x80 ? \chr($n) : %s::varint($n)) . %s;`, tag, f.rt(`Wire\Wire`), expr)
}

func (f *phpFile) encodeList(x field, this string) {
	if x.fd.IsPacked() {
		f.open("if ([] !== %s) {", this)
		f.p("$p = '';")
		f.open("foreach (%s as $v) {", this)
		f.p("$p .= %s;", x.encoded("$v"))
		f.close("}")
		f.p("$b .= %s . %s::bytes($p);", x.tag(2), f.rt(`Wire\Wire`))
		f.close("}")
		return
	}
	f.open("foreach (%s as $x) {", this)
	if x.packable() {
		f.p("$b .= %s . %s;", x.tag(x.wireType()), x.encoded("$x"))
	} else {
		f.appendBytes(x.value, x.checkedLater(), x.tag(2), "$x")
	}
	f.close("}")
}

func (f *phpFile) encodeMap(x field, this string) {
	f.open("foreach (%s as $k => $x) {", this)
	key := "$k"
	if x.key.kind() == protoreflect.StringKind {
		key = "(string) $k" // PHP makes "1" an int when it is a key
	}
	f.p("$p = %s . %s . %s . %s;", x.key.tag(x.key.wireType()), x.key.encoded(key), x.elem.tag(x.elem.wireType()), x.elem.encoded("$x"))
	f.p("$b .= %s . %s::bytes($p);", x.tag(2), f.rt(`Wire\Wire`))
	f.close("}")
}
