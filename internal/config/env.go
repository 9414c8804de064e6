package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reserved are variables with the prefix that mean something to commands, not to the configuration.
var reserved = []string{"SWITCHYARD_SERVER", "SWITCHYARD_KEY", "SWITCHYARD_DATA", "SWITCHYARD_CONFIG"}

// Field is one setting, for overriding and for documentation.
type Field struct {
	// Path is the place in the file, such as "gateway.max_body_bytes".
	Path string
	// Env is the variable that overrides it, such as "SWITCHYARD_GATEWAY_MAX_BODY_BYTES".
	Env string
	// Value is the setting itself, addressable.
	Value reflect.Value
}

// Fields returns every setting of the struct that dst points at, in the order of its declaration.
func Fields(dst any) []Field {
	var fields []Field
	collect(reflect.ValueOf(dst).Elem(), nil, &fields)
	return fields
}

func collect(v reflect.Value, path []string, fields *[]Field) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "-" || name == "" {
			continue
		}
		at := append(slices.Clone(path), name)
		if f.Type.Kind() == reflect.Struct {
			collect(v.Field(i), at, fields)
			continue
		}
		*fields = append(*fields, Field{
			Path:  strings.Join(at, "."),
			Env:   Prefix + strings.ToUpper(strings.Join(at, "_")),
			Value: v.Field(i),
		})
	}
}

// override sets the fields whose variables are in env.
func override(env map[string]string, dst any) (warnings []string, err error) {
	var errs []error
	known := map[string]bool{}
	for _, f := range Fields(dst) {
		known[f.Env] = true
		if text, ok := env[f.Env]; ok {
			if err := set(f.Value, text); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", f.Env, err))
			}
		}
	}
	for name := range env {
		if strings.HasPrefix(name, Prefix) && !known[name] && !slices.Contains(reserved, name) {
			warnings = append(warnings, name+" overrides no setting")
		}
	}
	slices.Sort(warnings)
	return warnings, errors.Join(errs...)
}

// set parses text into v. Lists are separated by commas, maps are written name=value and separated by commas.
func set(v reflect.Value, text string) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 500ms or 2m", text)
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 0, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number that fits", text)
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 0, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number of at least 0 that fits", text)
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(f)
	case reflect.Slice:
		return setList(v, text)
	case reflect.Map:
		return setMap(v, text)
	default:
		return fmt.Errorf("a setting of type %s cannot be overridden, set it in the file", v.Type())
	}
	return nil
}

func setList(v reflect.Value, text string) error {
	list := reflect.MakeSlice(v.Type(), 0, 4)
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := set(element, part); err != nil {
			return err
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
	return nil
}

func setMap(v reflect.Value, text string) error {
	m := reflect.MakeMap(v.Type())
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("%q is not name=value", part)
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := set(element, value); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(name), element)
	}
	v.Set(m)
	return nil
}
