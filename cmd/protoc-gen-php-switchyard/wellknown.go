package main

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// wellKnown tells how a google.protobuf type appears in PHP.
type wellKnown struct {
	class string // below Switchyard\Client\WellKnown
	// native is the PHP type of a field when it is not the class itself. Such a class has the
	// static methods bytesOf, valueIn, jsonOf and fromJsonValue.
	native string
	zero   string // of a native type, for map entries without a value
}

var wellKnowns = map[protoreflect.FullName]wellKnown{
	"google.protobuf.Any":         {class: "Any"},
	"google.protobuf.BoolValue":   {class: "BoolValue", native: "bool", zero: "false"},
	"google.protobuf.BytesValue":  {class: "BytesValue", native: "string", zero: "''"},
	"google.protobuf.DoubleValue": {class: "DoubleValue", native: "float", zero: "0.0"},
	"google.protobuf.Duration":    {class: "Duration"},
	"google.protobuf.Empty":       {class: "EmptyMessage"},
	"google.protobuf.FieldMask":   {class: "FieldMask"},
	"google.protobuf.FloatValue":  {class: "FloatValue", native: "float", zero: "0.0"},
	"google.protobuf.Int32Value":  {class: "Int32Value", native: "int", zero: "0"},
	"google.protobuf.Int64Value":  {class: "Int64Value", native: "int", zero: "0"},
	"google.protobuf.ListValue":   {class: "ListValue"},
	"google.protobuf.NullValue":   {class: "NullValue"},
	"google.protobuf.StringValue": {class: "StringValue", native: "string", zero: "''"},
	"google.protobuf.Struct":      {class: "Struct"},
	"google.protobuf.Timestamp":   {class: "Timestamp", native: `\DateTimeImmutable`},
	"google.protobuf.UInt32Value": {class: "UInt32Value", native: "int", zero: "0"},
	"google.protobuf.UInt64Value": {class: "UInt64Value", native: "int", zero: "0"},
	"google.protobuf.Value":       {class: "Value"},
}

const (
	valueType     = protoreflect.FullName("google.protobuf.Value")
	nullValueType = protoreflect.FullName("google.protobuf.NullValue")
)

// isWellKnownFile tells the files whose types are all in wellKnowns.
func isWellKnownFile(path string) bool {
	name, ok := strings.CutPrefix(path, "google/protobuf/")
	if !ok {
		return false
	}
	switch name {
	case "any.proto", "duration.proto", "empty.proto", "field_mask.proto", "struct.proto", "timestamp.proto", "wrappers.proto":
		return true
	}
	return false
}

// classOf returns the PHP class of a message or enum.
func (g *generator) classOf(d protoreflect.Descriptor) class {
	if wk, ok := wellKnowns[d.FullName()]; ok {
		return runtimeClass(`WellKnown\` + wk.class)
	}
	return g.names.types[d.FullName()]
}
