package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/testkit/data"
)

func write(tb testing.TB, name string, content []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func read(tb testing.TB, name, content string, o Options) *Set {
	tb.Helper()
	set, err := Read(context.Background(), write(tb, name, []byte(content)), o)
	if err != nil {
		tb.Fatalf("Read(%s): %v", name, err)
	}
	return set
}

const small = `{"text":"reset my password","label":"Access"}
{"text":"printer on fire","label":["Hardware","Urgent"]}
`

func gz(tb testing.TB, content string) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(content))
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func zst(tb testing.TB, content string) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return w.EncodeAll([]byte(content), nil)
}

func TestSameRowsFromEveryPacking(t *testing.T) {
	t.Parallel()
	want := []Row{
		{Line: 1, Text: "reset my password", Labels: []string{"Access"}},
		{Line: 2, Text: "printer on fire", Labels: []string{"Hardware", "Urgent"}},
	}
	for name, content := range map[string][]byte{
		"a.jsonl": []byte(small), "a.jsonl.gz": gz(t, small), "a.jsonl.zst": zst(t, small),
		"a.csv":   []byte(small), // content beats extension
		"packed":  gz(t, small),
		"bom":     []byte("\xef\xbb\xbf" + small),
		"windows": []byte(strings.ReplaceAll(small, "\n", "\r\n")),
		"no-end":  []byte(strings.TrimSpace(small)),
		"members": append(gz(t, small[:strings.IndexByte(small, '\n')+1]), gz(t, small[strings.IndexByte(small, '\n')+1:])...),
	} {
		set, err := Read(context.Background(), write(t, name, content), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, set.Rows); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
		if set.Kind != Text || set.Format != "jsonl" || !set.Lists || len(set.SHA256) != 64 || set.Bytes != int64(len(content)) {
			t.Errorf("%s: %+v", name, set)
		}
	}
}

func TestBadRowsAreReportedWithLineAndReason(t *testing.T) {
	t.Parallel()
	lines := []string{
		`{"text":"fine","label":"a"}`,
		`{"text":"no label"}`,
		`{"text":"null label","label":null}`,
		`{"text":"blank label","label":"  "}`,
		`{"text":"  ","label":"a"}`,
		`{"text":17,"label":"a"}`,
		`{"text":"x","label":{"a":1}}`,
		`{"text":"x","label":["a",null]}`,
		`{"label":"a","txt":"misspelt"}`,
		`not json`,
		`[1,2]`,
		"{\"text\":\"\xff\xfe\",\"label\":\"a\"}",
		`{"text":"` + strings.Repeat("ä", 101) + `","label":"a"}`,
		`{"text":"` + strings.Repeat("x", 4000) + `","label":"a"}`,
		`{"record":{"age":3},"label":"a"}`,
		`{"text":"x","label":"` + strings.Repeat("l", 201) + `"}`,
		``,
		`{"text":"also fine","label":7}`,
	}
	set := read(t, "bad.jsonl", strings.Join(lines, "\n"), Options{Limits: Limits{TextChars: 100, LineBytes: 2000}})
	var got []string
	for _, r := range set.Rejected {
		got = append(got, fmt.Sprintf("%d %s", r.Line, r.Reason))
	}
	want := []string{
		"2 " + MissingLabel, "3 " + MissingLabel, "4 " + EmptyLabel, "5 " + EmptyText, "6 " + WrongType, "7 " + WrongType, "8 " + WrongType,
		"9 " + MissingInput, "10 " + BadJSON, "11 " + BadJSON, "12 " + InvalidUTF8, "13 " + TextTooLong, "14 " + LineTooLong, "15 " + MixedKind,
		"16 " + LabelTooLong,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rejections (-want +got):\n%s", diff)
	}
	if len(set.Rows) != 2 || set.Rows[1].Labels[0] != "7" || set.RejectedRows() != 15 || set.RejectedByReason[WrongType] != 3 {
		t.Errorf("set %+v", set)
	}
	if d := set.Rejected[7].Detail; !strings.Contains(d, "label, txt") {
		t.Errorf("a missing text should list the fields that are there: %q", d)
	}
}

func TestOnlyTheFirstRejectionsAreKeptButAllAreCounted(t *testing.T) {
	t.Parallel()
	set := read(t, "a.jsonl", small+strings.Repeat("{}\n", 1000), Options{})
	if len(set.Rejected) != 20 || set.RejectedByReason[MissingLabel] != 1000 {
		t.Errorf("%d kept, %v counted", len(set.Rejected), set.RejectedByReason)
	}
}

func TestFieldsAreNamedByOptions(t *testing.T) {
	t.Parallel()
	o := Options{LabelField: "queue", TextField: "body", SubjectField: "subject"}
	want := []Row{{Line: 1, Text: "Printer\nIt burns", Labels: []string{"Hardware"}}}
	set := read(t, "a.jsonl", `{"subject":"Printer","body":"It burns","queue":"Hardware","text":"other"}`, o)
	if diff := cmp.Diff(want, set.Rows); diff != "" {
		t.Errorf("JSONL (-want +got):\n%s", diff)
	}
	want[0].Line = 2
	set = read(t, "a.csv", "queue;subject;body\nHardware;Printer;It burns\n", o)
	if diff := cmp.Diff(want, set.Rows); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
}

func TestRecordsKeepTheirTypes(t *testing.T) {
	t.Parallel()
	want := []Row{
		{Line: 1, Record: engine.Record{"age": num(39), "job": txt("clerk"), "member": boo(true)}, Labels: []string{"yes"}},
		{Line: 2, Record: engine.Record{"age": num(-2.5e3)}, Labels: []string{"no"}},
	}
	set := read(t, "a.jsonl", `{"record":{"age":39,"job":"clerk","member":true},"label":"yes"}
{"record":{"age":-2.5e3,"job":null},"label":"no"}
{"record":{"age":[1]},"label":"no"}
{"record":{},"label":"no"}
{"record":{"age":1e999},"label":"no"}
{"record":7,"label":"no"}
{"record":{"age":"old"},"label":"no"}
`, Options{})
	if diff := cmp.Diff(want, set.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{WrongType: 4, EmptyRecord: 1}, set.RejectedByReason); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]engine.Column{{Name: "age", Kind: engine.Number}, {Name: "job", Kind: engine.Text}, {Name: "member", Kind: engine.Bool}}, set.Columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestCSVRecordsInferTypesFromWholeColumns(t *testing.T) {
	t.Parallel()
	content := "age,zip,job,member,empty,mixed,label\n39,01234,clerk,true,,1,yes\nNA,98765,\"a, b\",FALSE,,x,no\n,1,,,,,no\n"
	set := read(t, "a.csv", content, Options{})
	want := []Row{
		{Line: 2, Record: engine.Record{"age": num(39), "zip": txt("01234"), "job": txt("clerk"), "member": boo(true), "mixed": txt("1")}, Labels: []string{"yes"}},
		{Line: 3, Record: engine.Record{"zip": txt("98765"), "job": txt("a, b"), "member": boo(false), "mixed": txt("x")}, Labels: []string{"no"}},
		{Line: 4, Record: engine.Record{"zip": txt("1")}, Labels: []string{"no"}},
	}
	if diff := cmp.Diff(want, set.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	// A test file takes the types of the training file: here the column mixed would be inferred as a number.
	set = read(t, "b.csv", "mixed,label\n1,yes\n2,no\n", Options{Columns: set.Columns})
	if v := set.Rows[0].Record["mixed"]; v != txt("1") {
		t.Errorf("with given columns mixed is %+v, want the text 1", v)
	}
}

func TestCSVTroubles(t *testing.T) {
	t.Parallel()
	set := read(t, "a.csv", "text,label\na \"quote,x\nshort\nfine,x\n\xff,x\n,x\nfine,\nmulti|line,a|b\n", Options{LabelSeparator: "|"})
	if diff := cmp.Diff(map[string]int{BadCSV: 2, InvalidUTF8: 1, EmptyText: 1, EmptyLabel: 1}, set.RejectedByReason); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if n := len(set.Rows); n != 2 || len(set.Rows[1].Labels) != 2 || set.Rows[1].Line != 8 {
		t.Errorf("rows %+v", set.Rows)
	}
	for name, c := range map[string]struct {
		content string
		want    error
		part    string
	}{
		"no label":    {"text,queue\nx,y\n", ErrFormat, `no column is named "label" (the label); the columns are text, queue`},
		"twice":       {"text,text,label\nx,y,z\n", ErrFormat, "two columns"},
		"label only":  {"label\nx\n", ErrFormat, "no column besides"},
		"open quote":  {"text,label\n\"" + strings.Repeat("x\n", 50_000), ErrTooLarge, "quote not closed"},
		"binary":      {"a\x00b", ErrFormat, "zero bytes"},
		"json array":  {`[{"text":"x"}]`, ErrFormat, "one object a line"},
		"torn gzip":   {string(gz(t, strings.Repeat(small, 1000))[:60]), ErrFormat, "ends early"},
		"bad gzip":    {"\x1f\x8bxxxxxxxxxxxxxxxx", ErrFormat, "gzip"},
		"torn zstd":   {string(zst(t, strings.Repeat(small, 1000))[:40]), ErrFormat, "ends early"},
		"bad parquet": {"PAR1xxxxxxxxxxxxPAR1", ErrFormat, "parquet"},
	} {
		_, err := Read(context.Background(), write(t, "f", []byte(c.content)), Options{Limits: Limits{LineBytes: 10_000}})
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: error %v, want %v with %q", name, err, c.want, c.part)
		}
	}
}

func TestLimitsEndTheReading(t *testing.T) {
	t.Parallel()
	many := strings.Repeat(`{"text":"x","label":"a"}`+"\n", 1000)
	for name, l := range map[string]Limits{"rows": {Rows: 999}, "bytes": {Bytes: 10_000}} {
		_, err := Read(context.Background(), write(t, "a.jsonl.gz", gz(t, many)), Options{Limits: l})
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: error %v, want ErrTooLarge", name, err)
		}
	}
	// 80 MiB of spaces in a few KiB: the ratio ends the reading before the absolute limit does.
	bomb := zst(t, strings.Repeat(" ", 80<<20))
	if _, err := Read(context.Background(), write(t, "a.jsonl.zst", bomb), Options{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("bomb of %d bytes: error %v, want ErrTooLarge", len(bomb), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Read(ctx, write(t, "a.jsonl", []byte(strings.Repeat(many, 3))), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	if _, err := Read(context.Background(), t.TempDir(), Options{}); !errors.Is(err, ErrFormat) {
		t.Errorf("a folder: error %v", err)
	}
}

func TestParquetTextsListsAndRecords(t *testing.T) {
	t.Parallel()
	type textRow struct {
		Text  *string  `parquet:"text,optional"`
		Label []string `parquet:"label,list"`
		Extra int      `parquet:"extra"`
	}
	a, b := "hello", "world"
	path := writeParquet(t, []textRow{{Text: &a, Label: []string{"x", "y"}}, {Text: nil, Label: []string{"x"}}, {Text: &b, Label: []string{}}})
	set, err := Read(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Row{{Line: 1, Text: "hello", Labels: []string{"x", "y"}}, {Line: 3, Text: "world", Labels: []string{}}}
	if diff := cmp.Diff(want, set.Rows); diff != "" || set.RejectedByReason[MissingInput] != 1 || !set.Lists || set.Format != "parquet" {
		t.Errorf("texts: %+v (-want +got):\n%s", set, diff)
	}

	type recordRow struct {
		Age    float64  `parquet:"age"`
		Count  *int64   `parquet:"count,optional"`
		Job    string   `parquet:"job,dict"`
		Member bool     `parquet:"member"`
		Tags   []string `parquet:"tags"`
		Label  string   `parquet:"label"`
	}
	two := int64(2)
	path = writeParquet(t, []recordRow{{39, &two, "clerk", true, []string{"a"}, "yes"}, {40, nil, "", false, nil, "no"}})
	if set, err = Read(context.Background(), path, Options{}); err != nil {
		t.Fatal(err)
	}
	want = []Row{
		{Line: 1, Record: engine.Record{"age": num(39), "count": num(2), "job": txt("clerk"), "member": boo(true)}, Labels: []string{"yes"}},
		{Line: 2, Record: engine.Record{"age": num(40), "job": txt(""), "member": boo(false)}, Labels: []string{"no"}},
	}
	if diff := cmp.Diff(want, set.Rows); diff != "" || !cmp.Equal(set.Ignored, []string{"tags"}) {
		t.Errorf("records: ignored %v (-want +got):\n%s", set.Ignored, diff)
	}
	// Any single damaged byte must give rows or an error, never a panic.
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 0xff
		_, _ = Read(context.Background(), write(t, "bad.parquet", bad), Options{Format: "parquet"})
	}
}

func writeParquet[T any](tb testing.TB, rows []T) string {
	tb.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b)
	if _, err := w.Write(rows); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return write(tb, "a.parquet", b.Bytes())
}

func TestRealDataIsReadWhole(t *testing.T) {
	t.Parallel()
	set, err := Read(context.Background(), data.Path(t, "it_tickets/train.jsonl.gz"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Rows) != 33520 || set.RejectedRows() != 0 || len(labelCounts(set)) != 8 ||
		set.SHA256 != "38adf05bdfd07e93291584221bfd005994d880b66d000390066dfe2aee0d02ba" {
		t.Errorf("%d rows, %d rejected (%v), sha256 %s", len(set.Rows), set.RejectedRows(), set.Rejected, set.SHA256)
	}
}

func num(f float64) engine.Value { return engine.Value{Kind: engine.Number, Number: f} }
func txt(s string) engine.Value  { return engine.Value{Kind: engine.Text, Text: s} }
func boo(b bool) engine.Value    { return engine.Value{Kind: engine.Bool, Bool: b} }
