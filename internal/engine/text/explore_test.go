package text_test

import (
	"context"
	"os"
	"encoding/json"
	"testing"
	"syscall"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

func cpu() float64 {
	var u syscall.Rusage
	syscall.Getrusage(0, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

func TestExplore(t *testing.T) {
	if os.Getenv("X") == "" {
		t.Skip()
	}
	sets := []string{"banking77", "clinc150", "it_tickets", "sms_spam"}
	if v := os.Getenv("SETS"); v != "" {
		json.Unmarshal([]byte(v), &sets)
	}
	for _, n := range sets {
		te := n + "/test.jsonl.gz"
		if n == "it_tickets" {
			te = n + "/valid.jsonl.gz"
		}
		d := loadSet(t, n+"/train.jsonl.gz", te, os.Getenv("FULL") == "")
		var acc []float64
		var sum float64
		c := cpu()
		var p text.Progress
		for seed := range uint64(3) {
			s := text.DefaultSettings()
			if err := json.Unmarshal([]byte(os.Getenv("X")), &s); err != nil {
				t.Fatal(err)
			}
			s.Seed = seed
			valid := d.held
			if os.Getenv("NOVALID") != "" {
				valid = nil
			}
			m, err := text.Train(context.Background(), d.train, valid, d.labels, d.oos, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			acc = append(acc, accuracy(m, d.test, d.oos))
			sum += acc[seed]
			p = m.Progress()
		}
		fmt.Printf("%-12s mean %.2f  %.2f cpu %.2f %+v\n", n, sum/3, acc, (cpu()-c)/3, p)
	}
}
