package main

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// jsonNames writes the table from JSON names to field numbers. Both spellings are accepted.
func (f *phpFile) jsonNames(fields []field) {
	seen := map[string]bool{}
	f.open("private const JSON = [")
	add := func(name string, x field) {
		if !seen[name] {
			seen[name] = true
			f.p("%s => %d,", quote(name), x.fd.Number())
		}
	}
	for _, x := range fields {
		add(x.fd.JSONName(), x)
	}
	for _, x := range fields {
		add(string(x.fd.Name()), x)
	}
	f.close("];")
	f.p("")
}

func (f *phpFile) writeJSON(fields []field) {
	f.open("public function writeJson(%s $options): string\n    {", f.rt(`Json\JsonOptions`))
	if len(fields) == 0 {
		f.p("return '{}';")
		f.close("}")
		return
	}
	f.p("$j = '';")
	for _, x := range fields {
		this := "$this->" + x.prop
		switch {
		case x.fd.IsMap():
			f.open("if ([] !== %s || $options->emitDefaults) {", this)
			f.p("$p = '';")
			f.open("foreach (%s as $k => $x) {", this)
			f.p("$p .= ',' . %s . ':' . %s;", x.jsonKey(), x.elem.json("$x"))
			f.close("}")
			f.p(`$j .= %s . '{' . \substr($p, 1) . '}';`, x.jsonLabel())
			f.close("}")
		case x.fd.IsList():
			f.open("if ([] !== %s || $options->emitDefaults) {", this)
			f.p("$p = '';")
			f.open("foreach (%s as $x) {", this)
			f.p("$p .= ',' . %s;", x.json("$x"))
			f.close("}")
			f.p(`$j .= %s . '[' . \substr($p, 1) . ']';`, x.jsonLabel())
			f.close("}")
		default:
			f.open("if (%s) {", x.jsonCondition(this))
			f.p("$j .= %s . %s;", x.jsonLabel(), x.json(this))
			f.close("}")
		}
	}
	f.p("")
	f.p(`return '{' . \substr($j, 1) . '}';`)
	f.close("}")
}

// jsonCondition tells when a singular field is written.
func (x field) jsonCondition(this string) string {
	if x.nullable() {
		return "null !== " + this
	}
	switch x.kind() {
	case protoreflect.BoolKind:
		return this + " || $options->emitDefaults"
	case protoreflect.EnumKind:
		return fmt.Sprintf("0 !== %[1]s && %[2]s !== %[1]s || $options->emitDefaults", this, x.zero())
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return fmt.Sprintf(`0.0 !== %[1]s || \fdiv(1.0, %[1]s) < 0 || $options->emitDefaults`, this)
	default:
		return fmt.Sprintf("%s !== %s || $options->emitDefaults", x.zero(), this)
	}
}

// jsonLabel is the comma, name and colon.
func (x field) jsonLabel() string {
	label := func(name string) string {
		raw, _ := json.Marshal(name)
		return quote("," + string(raw) + ":")
	}
	camel, snake := label(x.fd.JSONName()), label(string(x.fd.Name()))
	if camel == snake {
		return camel
	}
	return fmt.Sprintf("($options->protoNames ? %s : %s)", snake, camel)
}

func (x field) jsonKey() string {
	switch x.key.kind() {
	case protoreflect.StringKind:
		return x.key.json("(string) $k")
	case protoreflect.BoolKind:
		return `($k ? '"true"' : '"false"')`
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return x.key.json("$k")
	default:
		return `'"' . $k . '"'`
	}
}

func (f *phpFile) readJSON(md protoreflect.MessageDescriptor, fields []field) {
	f.open("public static function readJson(mixed $json, %s $options, int $depth): static\n    {", f.rt(`Json\JsonOptions`))
	name := quote(string(md.FullName()))
	f.open("if ($depth < 0) {")
	f.p("throw %s::depth(%s);", f.rt(`Message\DecodeException`), name)
	f.close("}")
	in := f.rt(`Json\JsonIn`)
	if len(fields) == 0 {
		f.open("foreach (%s::object($json, %s) as $key => $_) {", in, name)
		f.p("%s::unknown(%s, $key, $options);", in, name)
		f.close("}")
		f.p("")
		f.p("return new self();")
		f.close("}")
		return
	}
	for _, x := range fields {
		f.p("%s = %s;", x.local("f"), x.initial())
	}
	f.p("$seen = [];")
	f.open("foreach (%s::object($json, %s) as $key => $x) {", in, name)
	f.p("$field = self::JSON[$key] ?? 0;")
	f.open("if (0 === $field) {")
	f.p("%s::unknown(%s, $key, $options);", in, name)
	f.p("continue;")
	f.close("}")
	f.open("if (isset($seen[$field])) {")
	f.p("throw %s::duplicate(%s, $key);", in, name)
	f.close("}")
	f.p("$seen[$field] = true;")
	except := ""
	for _, x := range fields {
		if x.nullInJSON() && !x.fd.IsList() {
			except += fmt.Sprintf(" && %d !== $field", x.fd.Number())
		}
	}
	f.open("if (null === $x%s) {", except)
	f.p("continue;")
	f.close("}")
	f.open("switch ($field) {")
	for _, x := range fields {
		f.open("case %d:", x.fd.Number())
		f.readJSONField(x)
		f.p("break;")
		f.indent--
	}
	f.close("}")
	f.close("}")
	f.p("")
	f.open("return new self(")
	for _, x := range fields {
		f.p("%s,", x.local("f"))
	}
	f.close(");")
	f.close("}")
}

func (f *phpFile) readJSONField(x field) {
	in := f.rt(`Json\JsonIn`)
	target := x.local("f")
	switch {
	case x.fd.IsMap():
		f.open("foreach (%s::object($x, %s) as $k => $y) {", in, x.where)
		var key string
		switch x.key.kind() {
		case protoreflect.StringKind:
			key = "(string) $k"
		case protoreflect.BoolKind:
			key = fmt.Sprintf("%s::boolKey((string) $k, %s)", in, x.where)
		default:
			key = x.key.jsonIn("(string) $k")
		}
		f.storeJSON(*x.elem, target+"["+key+"]", "$y")
		f.close("}")
	case x.fd.IsList():
		f.open("foreach (%s::list($x, %s) as $y) {", in, x.where)
		f.storeJSON(x.value, target+"[]", "$y")
		f.close("}")
	default:
		if od := x.oneof(); od != nil {
			f.open("if (isset($seen[%s])) {", quote("oneof "+string(od.Name())))
			f.p("throw %s::duplicate(%s, $key);", in, quote(string(x.fd.Parent().FullName())))
			f.close("}")
			f.p("$seen[%s] = true;", quote("oneof "+string(od.Name())))
		}
		if x.kind() == protoreflect.EnumKind && !x.nullable() {
			f.p("%s = (%s) ?? %s;", target, x.jsonIn("$x"), x.zero())
			return
		}
		f.p("%s = %s;", target, x.jsonIn("$x"))
	}
}

// storeJSON adds to a list or map. An unknown enum name that may be ignored adds nothing.
func (f *phpFile) storeJSON(x value, target, expr string) {
	if x.kind() != protoreflect.EnumKind {
		f.p("%s = %s;", target, x.jsonIn(expr))
		return
	}
	f.open("if (null !== $v = %s) {", x.jsonIn(expr))
	f.p("%s = $v;", target)
	f.close("}")
}
