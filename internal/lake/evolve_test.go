package lake

import (
	"bytes"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// earlier is a decision as a release wrote it that knew fewer columns, and one that is gone since.
type earlier struct {
	DecisionID string    `parquet:"decision_id"`
	StreamSeq  int64     `parquet:"stream_seq,delta"`
	Time       time.Time `parquet:"time,delta,timestamp(microsecond)"`
	Label      string    `parquet:"label,dict"`
	Retired    string    `parquet:"retired"`
}

func TestFilesOfEarlierReleasesAreReadAndMerged(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[earlier](&buf)
	if _, err := w.Write([]earlier{{"a", 1, at, "x", "r"}, {"c", 3, at, "y", "r"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	old, err := parquet.OpenFile(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files, _, err := encode[Decision](Decisions, entriesOf[Decision]([]Decision{{Project: "p", DecisionID: "b", StreamSeq: 2, Time: at, Label: "z", Text: "new", Labels: []string{"z"}, Probabilities: []float32{0.5}}}, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := parquet.OpenFile(bytes.NewReader(files[0].data), files[0].file.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	found, err := tables[Decisions].find(old, "p", "c")
	if err != nil || found.(*Decision).Label != "y" || found.(*Decision).Text != "" {
		t.Fatalf("a row of an earlier release: %+v, %v", found, err)
	}
	merged, err := tables[Decisions].merge([]*parquet.File{fresh, old}, "p", nil)
	if err != nil {
		t.Fatal(err)
	}
	both, err := parquet.OpenFile(bytes.NewReader(merged.data), merged.file.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var got []Decision
	if err := tables[Decisions].each(both, "p", func(r any) error { got = append(got, *r.(*Decision)); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].DecisionID != "a" || got[1].Text != "new" || got[1].Probabilities[0] != 0.5 || got[2].Label != "y" || !got[2].Time.Equal(at) || len(got[2].Labels) != 0 {
		t.Errorf("merged: %+v", got)
	}
}
