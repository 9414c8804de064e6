package dataset_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/switchyard-ai/switchyard/internal/dataset"
)

// TestProbabilitiesAreReadFromEveryFormat reads the same rows, good and bad, from JSONL, CSV and Parquet.
func TestProbabilitiesAreReadFromEveryFormat(t *testing.T) {
	t.Parallel()
	type row struct {
		Text        string   `parquet:"text"`
		Label       string   `parquet:"label"`
		Probability *float64 `parquet:"probability,optional"`
		Least       *float64 `parquet:"least,optional"`
	}
	rows := []row{
		{"silent", "a", nil, nil},
		{"certain", "b", new(1.0), nil},
		{"audited", "a", new(0.05), new(0.05)},
		{"reviewed", "b", new(1.0), new(0.05)},
		{"complaint", "a", new(0.0), nil},
		{"none drawn", "b", new(1.0), new(0.0)},
		{"negative", "a", new(-0.1), nil},
		{"too much", "b", new(1.5), nil},
		{"least above", "a", new(0.1), new(0.5)},
		{"tiny", "b", new(1e-9), nil},
		{"tinier", "b", new(1e-300), nil},
	}
	var jsonl, csv, file strings.Builder
	csv.WriteString("text,label,probability,least\n")
	for _, r := range rows {
		number := func(f *float64) string {
			if f == nil {
				return ""
			}
			return strconv.FormatFloat(*f, 'g', -1, 64)
		}
		line := `{"text": "` + r.Text + `", "label": "` + r.Label + `"`
		for name, f := range map[string]*float64{"probability": r.Probability, "least": r.Least} {
			if f != nil {
				line += `, "` + name + `": ` + number(f)
			}
		}
		jsonl.WriteString(line + "}\n")
		csv.WriteString(r.Text + "," + r.Label + "," + number(r.Probability) + "," + number(r.Least) + "\n")
	}
	out := parquet.NewGenericWriter[row](&file)
	if _, err := out.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	want := map[string]dataset.Sampling{
		"silent": {}, "certain": {Probability: 1}, "audited": {Probability: 0.05, Least: 0.05}, "reviewed": {Probability: 1, Least: 0.05}, "complaint": {Probability: dataset.Unknown},
		"none drawn": {Probability: 1, Least: dataset.Unknown}, "tiny": {Probability: 1e-9},
	}
	for name, content := range map[string]string{"rows.jsonl": jsonl.String(), "rows.csv": csv.String(), "rows.parquet": file.String()} {
		set := readWith(t, name, content, dataset.Options{ProbabilityField: "probability", ProbabilityWithInput: true})
		got := map[string]dataset.Sampling{}
		for _, r := range set.Rows {
			got[r.Text] = r.Sampling
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		first := map[string]int{"rows.csv": 8}[name] // after the header
		if first == 0 {
			first = 7
		}
		if len(set.Rejected) != 4 || set.RejectedByReason[dataset.BadProbability] != 4 {
			t.Fatalf("%s: rejected %v", name, set.Rejected)
		}
		for i, says := range []string{`field "probability" is "-0.1"`, `field "probability" is "1.5"`, `"least" is 0.5, above the probability`} {
			if r := set.Rejected[i]; r.Line != first+i || !strings.Contains(r.Detail, says) {
				t.Errorf("%s: %v, want line %d: %s", name, r, first+i, says)
			}
		}
	}
}

func readWith(t *testing.T, name, content string, o dataset.Options) *dataset.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Read(t.Context(), path, o)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return set
}

func TestWhatIsNoNumberIsNoProbability(t *testing.T) {
	t.Parallel()
	for value, says := range map[string]string{`"often"`: `"often"`, `true`: `"true"`, `[1]`: `"list"`, `{}`: `"object"`, `"NaN"`: `"NaN"`, `"` + strings.Repeat("9", 500) + `"`: "…", `"1e400"`: `"1e400"`} {
		set := readWith(t, "rows.jsonl", `{"text": "x", "label": "a", "probability": `+value+"}\n", dataset.Options{ProbabilityField: "probability"})
		if len(set.Rows) != 0 || len(set.Rejected) != 1 || set.Rejected[0].Line != 1 || !strings.Contains(set.Rejected[0].Detail, says) || len(set.Rejected[0].Detail) > 200 {
			t.Errorf("%s: %v, %v", value, set.Rows, set.Rejected)
		}
	}
}

// TestAFeatureOfThatNameStaysOne reads records whose fields are all columns.
func TestAFeatureOfThatNameStaysOne(t *testing.T) {
	t.Parallel()
	rain := "sky,probability,label\ngrey,0.9,wet\nblue,12,dry\n"
	set := readWith(t, "rain.csv", rain, dataset.Options{ProbabilityField: "probability", ProbabilityWithInput: true})
	if len(set.Rows) != 2 || set.Rows[1].Record["probability"].Number != 12 || set.Rows[0].Sampling != (dataset.Sampling{}) {
		t.Errorf("%v, %v", set.Rows, set.Rejected)
	}
	set = readWith(t, "rain.csv", rain, dataset.Options{ProbabilityField: "probability"}) // when it is named
	if _, field := set.Rows[0].Record["probability"]; len(set.Rows) != 1 || field || set.Rows[0].Sampling.Probability != 0.9 || set.Rejected[0].Line != 3 {
		t.Errorf("%v, %v", set.Rows, set.Rejected)
	}
	path := filepath.Join(t.TempDir(), "rain.csv")
	if err := os.WriteFile(path, []byte(rain), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dataset.Read(t.Context(), path, dataset.Options{ProbabilityField: "chance"}); err == nil || !strings.Contains(err.Error(), `no column is named "chance" (the probability)`) {
		t.Errorf("a column that is not there: %v", err)
	}
}
