package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// checkedLater tells the strings of a message that are checked for UTF-8 all at once: a check
// costs as much as everything else that happens to a short string, however long it is.
func (x field) checkedLater() bool {
	return x.kind() == protoreflect.StringKind && !x.fd.IsMap() && x.oneof() == nil
}

// checkText writes that check. The strings are joined by a byte that is a character of its own,
// so that half a character at the end of one cannot be completed by the next.
func (f *phpFile) checkText(fields []field, exception string, expr func(field) string) {
	var parts, named []string
	for _, x := range fields {
		if !x.checkedLater() {
			continue
		}
		e := expr(x)
		if x.fd.IsList() {
			e = fmt.Sprintf(`\implode("\0", %s)`, e)
		}
		parts = append(parts, e)
		named = append(named, x.where+" => "+e)
	}
	if len(parts) == 0 {
		return
	}
	throw := fmt.Sprintf("throw %s::utf8In([%s])", f.rt(`Message\`+exception), strings.Join(named, ", "))
	guard := ""
	if len(parts) == 1 {
		for _, x := range fields {
			if !x.checkedLater() {
				continue
			}
			// Nothing to check in the common case of an absent field.
			guard = fmt.Sprintf("%s === %s || ", x.initial(), expr(x))
			if x.nullable() {
				parts[0] += " ?? ''"
			}
		}
	}
	text := joined(parts)
	if len(parts) > 1 {
		f.p("$v = %s;", text)
		text = "$v"
	}
	f.p(`%s%s || %s;`, guard, f.isText(text), throw)
}

// isText is Wire::utf8() in line. OPcache knows which extensions are loaded and drops the question and the branch that is not taken.
func (f *phpFile) isText(x string) string {
	return fmt.Sprintf(`(\extension_loaded('mbstring') ? \mb_check_encoding(%[1]s, 'UTF-8') : %[2]s::utf8(%[1]s))`, x, f.rt(`Wire\Wire`))
}

// joined concatenates expressions with NUL between them. Variables are interpolated into one
// string, which PHP builds in one step.
func joined(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	var plain, calls []string
	for _, p := range parts {
		if strings.HasPrefix(p, "$") {
			plain = append(plain, "{"+p+"}")
		} else {
			calls = append(calls, p)
		}
	}
	var out []string
	if len(plain) == 1 {
		out = append(out, strings.Trim(plain[0], "{}"))
	} else if len(plain) > 1 {
		out = append(out, `"`+strings.Join(plain, `\0`)+`"`)
	}
	return strings.Join(append(out, calls...), ` . "\0" . `)
}
