package main

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// errorReason is the name of the enum that exceptions are made from.
const errorReason = protoreflect.Name("ErrorReason")

// errorExceptions writes one exception class per reason, and the factory that picks it.
func (g *generator) errorExceptions(ed protoreflect.EnumDescriptor) {
	factory := g.names.exceptions[ed.FullName()]
	ff := newFile(ed.ParentFile(), factory)
	ff.doc([]string{
		fmt.Sprintf("Makes the exception of a reason of %s; a reason this", ed.FullName()),
		"version does not know becomes a plain RpcException.",
	})
	ff.open("final class %s implements %s\n{", factory.name, ff.rt("ExceptionFactory"))
	ff.open("public static function create(%s $error, ?\\Throwable $previous = null): %s\n    {", ff.rt("RpcError"), ff.rt("RpcException"))
	ff.open("return match ($error->reason) {")
	for _, r := range reasonsOf(ed) {
		c := g.names.exceptions[valueKey(r.value)]
		var labels string
		for i, n := range r.names {
			if i > 0 {
				labels += ", "
			}
			labels += quote(n)
		}
		ff.p("%s => new %s($error, $previous),", labels, ff.ref(c))

		f := newFile(ed.ParentFile(), c)
		f.doc(commentOf(r.value), []string{fmt.Sprintf("Reason %s of %s.", r.value.Name(), ed.FullName())}, deprecated(r.value))
		f.open("final class %s extends %s\n{", c.name, f.rt("RpcException"))
		f.p("/** As in google.rpc.ErrorInfo. */")
		f.p("public const REASON = %s;", quote(r.names[0]))
		f.close("}")
		g.emit(ed.ParentFile(), c, f.String())
	}
	ff.p("default => new %s($error, $previous),", ff.rt("RpcException"))
	ff.close("};")
	ff.close("}")
	ff.close("}")
	g.emit(ed.ParentFile(), factory, ff.String())
}

type reason struct {
	value protoreflect.EnumValueDescriptor
	names []string // as ErrorInfo may spell it: without the enum's prefix, with it, and aliases
}

func reasonsOf(ed protoreflect.EnumDescriptor) []reason {
	var out []reason
	byNumber := map[protoreflect.EnumNumber]int{}
	seen := map[string]bool{}
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		if v.Number() == 0 {
			continue
		}
		at, ok := byNumber[v.Number()]
		if !ok {
			at = len(out)
			byNumber[v.Number()] = at
			out = append(out, reason{value: v})
		}
		for _, name := range []string{stripEnumPrefix(ed, v), string(v.Name())} {
			if !seen[name] {
				seen[name] = true
				out[at].names = append(out[at].names, name)
			}
		}
	}
	return slices.DeleteFunc(out, func(r reason) bool { return len(r.names) == 0 })
}

// exceptionsOf finds the factory for the services of a file: of its own package, of the
// files it imports, or else the only one of the request.
func (g *generator) exceptionsOf(fd protoreflect.FileDescriptor) (class, bool) {
	var samePackage, imported, all []class
	seen := map[string]bool{}
	var visit func(fd protoreflect.FileDescriptor)
	visit = func(fd protoreflect.FileDescriptor) {
		if seen[fd.Path()] {
			return
		}
		seen[fd.Path()] = true
		if c, ok := g.factoryIn(fd); ok {
			imported = append(imported, c)
		}
		for i := range fd.Imports().Len() {
			visit(fd.Imports().Get(i).FileDescriptor)
		}
	}
	visit(fd)
	for _, path := range g.paths {
		other, err := g.files.FindFileByPath(path)
		if err != nil {
			continue
		}
		if c, ok := g.factoryIn(other); ok {
			all = append(all, c)
			if other.Package() == fd.Package() {
				samePackage = append(samePackage, c)
			}
		}
	}
	switch {
	case len(samePackage) > 0:
		return samePackage[0], true
	case len(imported) > 0:
		return imported[0], true
	case len(all) == 1:
		return all[0], true
	}
	return class{}, false
}

func (g *generator) factoryIn(fd protoreflect.FileDescriptor) (class, bool) {
	if ed := fd.Enums().ByName(errorReason); ed != nil && fd.Syntax() != protoreflect.Proto2 {
		c, ok := g.names.exceptions[ed.FullName()]
		return c, ok
	}
	return class{}, false
}
