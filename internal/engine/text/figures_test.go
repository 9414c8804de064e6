package text_test

import (
	"context"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

// TestAccuracyOnTheReferenceSets trains on nine tenths of each set, as the pipeline does, which keeps the rest for calibration
// and certification; on banking77 also on all of it. All with the default settings. Run it with -v to see the figures.
func TestAccuracyOnTheReferenceSets(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on whole data sets")
	}
	for _, c := range []struct {
		name, test string
		want       float64 // percent, in scope
	}{
		{"banking77", "test", 91.7},
		{"clinc150", "test", 92.3},
		{"it_tickets", "valid", 86.5},
		{"sms_spam", "test", 99},
	} {
		for _, hold := range []bool{true, false} {
			if !hold && c.name != "banking77" {
				continue // once is enough to know, and takes a third of the time
			}
			d := loadSet(t, c.name+"/train.jsonl.gz", c.name+"/"+c.test+".jsonl.gz", hold)
			before := processorSeconds()
			m, err := text.Train(context.Background(), d.train, d.held, d.labels, d.oos, text.DefaultSettings(), nil)
			if err != nil {
				t.Fatal(err)
			}
			seconds := processorSeconds() - before
			got := accuracy(m, d.test, d.oos)
			t.Logf("%-10s %5d rows: %.2f %% (want %.1f), %.1f s of processor time, %d epochs", c.name, len(d.train), got, c.want, seconds, m.Progress().Epoch)
			if got < c.want {
				t.Errorf("%s with %d rows: accuracy %.2f %%, want %.1f", c.name, len(d.train), got, c.want)
			}
			if c.name == "banking77" && seconds > 5 {
				t.Errorf("banking77: %.1f s of processor time, want at most 5", seconds)
			}
		}
	}
}

func TestEightBitsCostLittleAccuracy(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on a whole data set")
	}
	d := loadSet(t, "banking77/train.jsonl.gz", "banking77/test.jsonl.gz", true)
	s := text.DefaultSettings()
	float, err := text.FloatAccuracy(d.train, d.test, len(d.labels), s)
	if err != nil {
		t.Fatal(err)
	}
	m, err := text.Train(context.Background(), d.train, nil, d.labels, -1, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := accuracy(m, d.test, -1)
	t.Logf("single precision %.2f %%, int8 %.2f %%", float, got)
	if got < float-0.2 {
		t.Errorf("int8 weights cost %.2f points of accuracy, want at most 0.2", float-got)
	}
}
