package db

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// pieces cuts a statement into code and what is not code: quoted texts, quoted names and comments. It calls each in order.
func pieces(query string, each func(text string, code bool)) {
	start := 0
	quoted := func(from, to int) {
		if from > start {
			each(query[start:from], true)
		}
		each(query[from:to], false)
		start = to
	}
	for i := 0; i < len(query); i++ {
		var end string
		switch {
		case query[i] == '\'' || query[i] == '"':
			end = query[i : i+1] // a doubled quote ends one piece and begins the next, which comes to the same
		case strings.HasPrefix(query[i:], "--"):
			end = "\n"
		case strings.HasPrefix(query[i:], "/*"):
			end = "*/"
		default:
			continue
		}
		length := 1
		if end == "*/" {
			length = 2
		}
		to := len(query)
		if n := strings.Index(query[i+length:], end); n >= 0 {
			to = i + length + n + len(end)
		}
		quoted(i, to)
		i = to - 1
	}
	if start < len(query) {
		each(query[start:], true)
	}
}

// numbered turns "?" parameters into $1, $2, ….
func numbered(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	var out strings.Builder
	out.Grow(len(query) + 16)
	n := 0
	pieces(query, func(text string, code bool) {
		for code {
			before, after, found := strings.Cut(text, "?")
			if !found {
				break
			}
			n++
			out.WriteString(before)
			out.WriteByte('$')
			out.WriteString(strconv.Itoa(n))
			text = after
		}
		out.WriteString(text)
	})
	return out.String()
}

// postgresTypes turns the portable types that Postgres has under another name into its own. Texts are compared by bytes, as SQLite does,
// whatever the database was created with: the order of a list must not depend on an operating system's language files. That a table's rows are to stand in the index of its key is left out.
func postgresTypes(step string) string {
	var out strings.Builder
	previous := ""
	pieces(step, func(text string, code bool) {
		if !code {
			out.WriteString(text)
			return
		}
		text = strings.ReplaceAll(text, " WITHOUT ROWID", "")
		for text != "" {
			n := strings.IndexFunc(text, isWord)
			if n < 0 {
				out.WriteString(text)
				return
			}
			out.WriteString(text[:n])
			text = text[n:]
			if n = strings.IndexFunc(text, func(r rune) bool { return !isWord(r) }); n < 0 {
				n = len(text)
			}
			word := text[:n]
			switch upper := strings.ToUpper(word); {
			case upper == "BLOB":
				out.WriteString("BYTEA")
			case upper == "TEXT" && previous != "AS": // a cast takes no collation
				out.WriteString(`TEXT COLLATE "C"`)
			default:
				out.WriteString(word)
			}
			previous, text = strings.ToUpper(word), text[n:]
		}
	})
	return out.String()
}

func isWord(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r >= utf8.RuneSelf
}

// arguments makes the values of parameters such that every engine stores the same: whole numbers as int64, truth as 0 and 1. A text with a NUL
// or with bytes that are not UTF-8 is the caller's mistake everywhere, not only where the engine minds.
func arguments(args []any) ([]any, error) {
	out := make([]any, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case nil, int64, float64, []byte:
			out[i] = a
			continue
		case time.Time, *time.Time:
			return nil, fmt.Errorf("parameter %d is a time: store db.Micros of it", i+1)
		case string:
			if strings.IndexByte(v, 0) >= 0 || !utf8.ValidString(v) {
				return nil, fault.Malformed("a text holds a NUL character or is not valid UTF-8, and cannot be stored")
			}
			out[i] = v
			continue
		}
		switch v := reflect.ValueOf(a); v.Kind() {
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			out[i] = v.Int()
		case reflect.Uint8, reflect.Uint16, reflect.Uint32:
			out[i] = int64(v.Uint())
		case reflect.Bool:
			out[i] = int64(0)
			if v.Bool() {
				out[i] = int64(1)
			}
		case reflect.Float32:
			out[i] = v.Float()
		case reflect.String:
			s, err := arguments([]any{v.String()})
			if err != nil {
				return nil, err
			}
			out[i] = s[0]
		default:
			out[i] = a // what database/sql knows to convert: pointers, Valuers, larger unsigned numbers
		}
	}
	return out, nil
}
