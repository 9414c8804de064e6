package routing

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/decision/decisiontest"
	"github.com/switchyard-ai/switchyard/internal/testkit/data"
)

func detect(s string) (string, float64) {
	var r reading
	r.read(s)
	return r.language.detect()
}

func TestLanguageOnRealTexts(t *testing.T) {
	t.Parallel()
	for _, set := range []struct {
		file  string
		codes map[string]string
		least float64
	}{
		{"umsab_sentiment/test.jsonl.gz", map[string]string{
			"arabic": "ar", "english": "en", "french": "fr", "german": "de", "italian": "it", "portuguese": "pt", "spanish": "es",
		}, 0.9}, // tweets: names, tags and English words in every language; the Hindi ones are in Latin script and left out
		{"xsid/test.jsonl.gz", map[string]string{
			"ar": "ar", "da": "da", "de": "de", "en": "en", "id": "id", "it": "it", "ja": "ja", "kk": "kk", "lt": "lt", "nl": "nl", "sr": "hr", "tr": "tr", "zh": "zh",
		}, 0.85}, // commands of six words; about 8 % of the rows of every language are English
	} {
		t.Run(set.file, func(t *testing.T) {
			t.Parallel()
			right, all := map[string]int{}, map[string]int{}
			wrong := map[string]map[string]int{}
			good, n := 0, 0
			for _, row := range rows(t, set.file) {
				want := set.codes[row.Lang]
				if want == "" {
					continue
				}
				got, _ := detect(row.Text)
				all[want]++
				n++
				if got == want {
					right[want]++
					good++
				} else {
					if wrong[want] == nil {
						wrong[want] = map[string]int{}
					}
					wrong[want][got]++
				}
			}
			for code := range all {
				t.Logf("%s: %.3f of %d; taken for %v", code, float64(right[code])/float64(all[code]), all[code], wrong[code])
			}
			t.Logf("all: %.3f of %d", float64(good)/float64(n), n)
			if float64(good) < set.least*float64(n) {
				t.Errorf("%d of %d right, want at least %.0f %%", good, n, 100*set.least)
			}
		})
	}
}

type row struct{ Text, Lang string }

func rows(tb testing.TB, file string) (all []row) {
	tb.Helper()
	f, err := os.Open(data.Path(tb, file))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			tb.Fatal(err)
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}

func BenchmarkReading(b *testing.B) {
	text := "my laptop does not start anymore since the update yesterday, I cannot log in to the vpn and the meeting starts soon, please help me"
	detect(text) // builds the lexicon
	b.ReportAllocs()
	report := decisiontest.ReportCPU(b)
	for b.Loop() {
		var r reading
		r.read(text)
		r.language.detect()
		priority(r.urgency, "email", nil)
	}
	report()
}
