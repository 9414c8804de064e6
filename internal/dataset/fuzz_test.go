package dataset

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRead feeds any bytes to the readers of streams: they must not panic, must account for every row, and must only let
// through what the product can work with.
func FuzzRead(f *testing.F) {
	f.Add([]byte(small), false)
	f.Add([]byte("text,label\nx,y\n\"open"), true)
	f.Add([]byte("a;b;label\n1;true;x\n02;false;y\n"), true)
	f.Add([]byte(`{"record":{"a":1,"b":"x","c":null},"label":["x"]}`), false)
	f.Add([]byte("\xef\xbb\xbf{\"text\":\"\\ud800\",\"label\":\"a\"}"), false)
	f.Add([]byte("\x1f\x8b\x08\x00"), false)
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00"), false)
	path := filepath.Join(f.TempDir(), "in")
	f.Fuzz(func(t *testing.T, content []byte, asCSV bool) {
		o := Options{Limits: Limits{LineBytes: 4096, TextChars: 200, Rows: 500, Bytes: 1 << 20, Fields: 20, ValueChars: 50}}
		if asCSV {
			o.Format = "csv"
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := Read(context.Background(), path, o)
		if err != nil {
			return
		}
		for _, row := range set.Rows {
			if !utf8.ValidString(row.Text) || utf8.RuneCountInString(row.Text) > 200 {
				t.Errorf("text %q was let through", row.Text)
			}
			if set.Kind == Text && strings.TrimSpace(row.Text) == "" || set.Kind == Record && len(row.Record) > 20 {
				t.Errorf("row %+v was let through", row)
			}
			for _, l := range row.Labels {
				if strings.TrimSpace(l) == "" || !utf8.ValidString(l) {
					t.Errorf("label %q was let through", l)
				}
			}
			row.Key()
		}
		_ = Err(Check(set, "oos"))
	})
}
