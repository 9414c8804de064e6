package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// row is one measured figure.
type row struct {
	what     string
	measured string
	figure   string // what the product promises; empty for rows that only inform
	met      bool   // measured meets figure
	basis    string // what the figure is measured against, and the spread
	command  string
}

type table struct{ rows []row }

// add appends a row.
func (t *table) add(r row) { t.rows = append(t.rows, r) }

// atLeast appends a ratio that must reach the figure.
func (t *table) atLeast(what string, got, figure float64, basis, command string) {
	t.add(row{what, fmt.Sprintf("%.2f ×", got), fmt.Sprintf("≥ %.2f ×", figure), got >= figure, basis, command})
}

// atMost appends a value that must stay below the figure.
func (t *table) atMost(what string, got, figure float64, unit, basis, command string) {
	t.add(row{what, number(got) + " " + unit, "≤ " + number(figure) + " " + unit, got <= figure, basis, command})
}

// number writes a value with as many digits as it deserves.
func number(v float64) string {
	switch {
	case v >= 100 || v == float64(int(v)):
		return count(v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// print writes the table in Markdown.
func (t *table) print(w io.Writer) {
	fmt.Fprintln(w, "| what | measured | figure | met | ratio basis, spread | command |")
	fmt.Fprintln(w, "|---|--:|--:|---|---|---|")
	for _, r := range t.rows {
		met := "yes"
		switch {
		case r.figure == "":
			met = ""
		case !r.met:
			met = "**no**"
		}
		cells := []string{r.what, r.measured, r.figure, met, r.basis, "`" + r.command + "`"}
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", "\\|")
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

// machine describes the machine by its class only.
func machine() string {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`cpu MHz\s*:\s*([\d.]+)`).FindSubmatch(info); m != nil {
			if mhz, err := strconv.ParseFloat(string(m[1]), 64); err == nil {
				text += fmt.Sprintf(" of %.1f GHz", mhz/1000)
			}
		}
	}
	return fmt.Sprintf("Measured on %s (%s/%s), %s; server and load share them.", text, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
