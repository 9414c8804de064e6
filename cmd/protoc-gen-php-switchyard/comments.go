package main

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// commentOf returns the lines of a descriptor's comment in the .proto file.
func commentOf(d protoreflect.Descriptor) []string {
	loc := d.ParentFile().SourceLocations().ByDescriptor(d)
	var lines []string
	for _, c := range []string{loc.LeadingComments, loc.TrailingComments} {
		c = strings.Trim(strings.ReplaceAll(c, "\r", ""), "\n")
		if strings.TrimSpace(c) == "" {
			continue
		}
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		for line := range strings.SplitSeq(c, "\n") {
			lines = append(lines, docLine(line))
		}
	}
	return lines
}

// docLine makes a line of free text safe inside a docblock: it may not end the block nor become a tag.
func docLine(line string) string {
	line = strings.TrimRight(strings.TrimPrefix(line, " "), " \t")
	line = strings.ReplaceAll(line, "*/", "* /")
	if trimmed := strings.TrimLeft(line, " \t"); strings.HasPrefix(trimmed, "@") {
		line = strings.Repeat(" ", len(line)-len(trimmed)) + `\` + trimmed
	}
	return line
}

// doc writes a docblock; groups are set apart by an empty line, empty groups are left out.
func (f *phpFile) doc(groups ...[]string) {
	var lines []string
	for _, g := range groups {
		if len(g) == 0 {
			continue
		}
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, g...)
	}
	switch {
	case len(lines) == 0:
	case len(lines) == 1:
		f.p("%s", "/** "+lines[0]+" */")
	default:
		f.p("/**")
		for _, l := range lines {
			f.p("%s", strings.TrimRight(" * "+l, " "))
		}
		f.p(" */")
	}
}

// deprecated returns the tag for things marked so in the .proto file.
func deprecated(d protoreflect.Descriptor) []string {
	if o, ok := d.Options().(interface{ GetDeprecated() bool }); ok && o.GetDeprecated() {
		return []string{"@deprecated by the contract"}
	}
	return nil
}
