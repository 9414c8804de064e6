package main

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// reservedClasses are the words that PHP (8.2 to 8.5) refuses or will refuse as the name of a class.
var reservedClasses = wordSet(`abstract and array as break callable case catch class clone const continue declare default
	die do echo else elseif empty enddeclare endfor endforeach endif endswitch endwhile eval exit extends final finally fn
	for foreach function global goto if implements include include_once instanceof insteadof interface isset list match
	namespace new or print private protected public readonly require require_once return static switch throw trait try
	unset use var while xor yield __class__ __dir__ __file__ __function__ __line__ __method__ __namespace__ __property__
	__trait__ __halt_compiler self parent int float bool string true false null void iterable object mixed never
	enum resource numeric`)

func wordSet(s string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		set[w] = true
	}
	return set
}

func escapeClass(name string) string {
	if reservedClasses[strings.ToLower(name)] {
		return name + "_"
	}
	return name
}

// escapeEnum is escapeClass for enums. PHP 8.2 does not see a keyword in "enum ExtendsX", nor with
// anything else that begins like a clause.
func escapeEnum(name string) string {
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, "extends") || strings.HasPrefix(lower, "implements") {
		return "Enum" + name
	}
	return escapeClass(name)
}

// escapeSegment keeps every segment of a namespace valid on its own; PHP 8 needs that for "namespace" alone.
func escapeSegment(name string) string {
	if strings.EqualFold(name, "namespace") {
		return name + "_"
	}
	return name
}

// lowerCamel is protobuf's JSON name, made a PHP identifier: foo_bar becomes fooBar.
func lowerCamel(s string) string {
	var b strings.Builder
	up := false
	for _, c := range []byte(s) {
		switch {
		case c == '_':
			up = true
			continue
		case up && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		}
		up = false
		b.WriteByte(c)
	}
	return identifier(b.String())
}

// upperCamel makes fooBar, foo_bar, FOO_BAR and foo-bar into FooBar.
func upperCamel(s string) string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	}) {
		if part == strings.ToUpper(part) {
			part = strings.ToLower(part)
		}
		b.WriteString(upperFirst(part))
	}
	return identifier(b.String())
}

func identifier(s string) string {
	if s == "" || '0' <= s[0] && s[0] <= '9' {
		return "_" + s
	}
	return s
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// stripEnumPrefix returns ALLOW for ACTION_ALLOW of enum Action, or the whole name where
// the value has no such prefix or the rest is no identifier. Underscores and case of the
// enum's own name do not count, so HTTPCode owns both HTTP_CODE_ and HTTPCODE_.
func stripEnumPrefix(ed protoreflect.EnumDescriptor, v protoreflect.EnumValueDescriptor) string {
	want := strings.ToLower(strings.ReplaceAll(string(ed.Name()), "_", ""))
	name := string(v.Name())
	i := 0
	for ; i < len(name) && want != ""; i++ {
		if name[i] == '_' {
			continue
		}
		if strings.ToLower(name[i:i+1]) != want[:1] {
			return name
		}
		want = want[1:]
	}
	rest := name[i:]
	if want != "" || len(rest) < 2 || rest[0] != '_' {
		return name
	}
	rest = strings.TrimLeft(rest, "_")
	if rest == "" || '0' <= rest[0] && rest[0] <= '9' {
		return name
	}
	return rest
}
