package summary

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// width of the bars.
const width = 30

// TextWriter writes a day for a terminal, 100 columns wide.
type TextWriter struct {
	w *bufio.Writer
	// Bold writes headings in bold, for terminals that can.
	Bold bool
}

// NewText returns a writer.
func NewText(w io.Writer) *TextWriter { return &TextWriter{w: bufio.NewWriter(w)} }

func (t *TextWriter) heading(s string) {
	if t.Bold {
		s = "\x1b[1m" + s + "\x1b[0m"
	}
	fmt.Fprintf(t.w, "\n%s\n", s)
}

func (t *TextWriter) linef(format string, args ...any) { fmt.Fprintf(t.w, "  "+format+"\n", args...) }

// table writes rows, the columns after the first right-aligned if right is set.
func (t *TextWriter) table(right bool, rows [][]string) {
	flags := uint(0)
	if right {
		flags = tabwriter.AlignRight
	}
	var b strings.Builder
	tab := tabwriter.NewWriter(&b, 0, 4, 3, ' ', flags)
	for _, r := range rows {
		if right { // the first column stays on the left
			r = append([]string{fmt.Sprintf("%-*s", longest(rows), r[0])}, r[1:]...)
		}
		fmt.Fprintln(tab, strings.Join(r, "\t")+"\t")
	}
	_ = tab.Flush()
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(t.w, strings.TrimRight("  "+strings.TrimPrefix(line, strings.Repeat(" ", 3*boolInt(right))), " \n"))
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func longest(rows [][]string) (n int) {
	for _, r := range rows {
		n = max(n, len([]rune(r[0])))
	}
	return n
}

// Hours begins the table of the day, which Hour continues as it goes.
func (t *TextWriter) Hours() error {
	t.heading("The day")
	t.linef("%-6s %10s %10s %18s %11s   %s", "time", "inquiries", "automated", "closed by people", "oldest", "waiting for people")
	return t.w.Flush()
}

// Hour writes the state at a moment. A full bar is a queue of 300.
func (t *TextWriter) Hour(h Hour) error {
	oldest := ""
	if h.Waiting > 0 && h.Oldest > 0 {
		oldest = span(h.Oldest)
	}
	t.linef("%-6s %10s %10s %18s %11s   %s %s", clock(h.Time), number(h.Inquiries), number(h.Automated), number(h.Closed), oldest,
		strings.Repeat("█", int(min(width, (h.Waiting+9)/10))), number(h.Waiting))
	return t.w.Flush()
}

// Report writes what came of it.
func (t *TextWriter) Report(r *Report) error {
	t.promise(r)
	t.people(r)
	t.quality(r)
	t.cost(r)
	t.example(r)
	t.kept(r)
	t.checks(r)
	return t.w.Flush()
}

func (t *TextWriter) promise(r *Report) {
	p, a, u := r.Promise, r.Automated, r.Audits
	t.heading("What was promised, and what became of it")
	t.linef("%s", title(p.Statement))
	t.linef("Certificate: %s wrong of %s at or above %.3f, among %s inquiries that training never saw; p = %.3f",
		number(p.Errors), number(p.Accepted), p.Threshold, number(p.Rows), p.PValue)
	fmt.Fprintln(t.w)
	t.table(false, [][]string{
		{"routed by itself", percent(a.Share), fmt.Sprintf("%s of %s inquiries", number(a.Decisions), number(r.Traffic.Inquiries))},
		{"true error", percent(a.Error), fmt.Sprintf("%s of %s wrong, by the labels; %s was promised at most", number(a.Wrong), number(a.Decisions), whole(p.MaxError))},
		{"error that audits saw", percent(u.Error), fmt.Sprintf("%s of %s drawn at %s; 95 %% interval %s", number(u.Errors), number(u.Closed), whole(p.AuditRate), between(u.Low, u.High))},
		{"the same, corrected", percent(u.Corrected), fmt.Sprintf("interval %s: the reviewers of audits err in %s themselves", between(u.CorrectedLow, u.CorrectedHigh), percent(u.ReviewerError))},
		{"right in the end", percent(r.RightAtLast()), fmt.Sprintf("of all inquiries; these people alone would reach %s", percent(r.RightByHand()))},
	})
}

func (t *TextWriter) people(r *Report) {
	v := r.Review
	t.heading("What people did")
	t.table(false, [][]string{
		{"inquiries to decide", number(v.Items), fmt.Sprintf("%s of them in the right queue at the end", percent(share(v.FinalRight, int(v.Items))))},
		{"answers", number(v.Verdicts), fmt.Sprintf("%s each for half of them, %s together", span(v.TimeMedian), span(v.TimeSpent))},
		{"waiting time", span(v.WaitMedian), fmt.Sprintf("half waited no longer, 9 of 10 no longer than %s; at most %s at a time", span(v.WaitP90), number(v.MaxOpen))},
		{"suggestion taken", percent(share(v.Accepted, v.ItemsClosed)), fmt.Sprintf("of %s closed items, audits among them", number(v.ItemsClosed))},
		{"second opinions", number(v.SecondOpinions), fmt.Sprintf("blind; a third person settled %s of them", number(v.Disagreements))},
		{"test items", number(v.GoldAnswers), fmt.Sprintf("answers to %s inquiries whose queue was known", number(v.GoldItems))},
		{"taken back", number(v.Undone), "answers, within the undo window"},
		{"not sure", number(v.NotSure), "answers; somebody else was asked"},
		{"leases", number(v.Extended), fmt.Sprintf("extended, %s given back, %s ended while somebody was away", number(v.Released), number(v.Expired))},
		{"escalated", number(v.Escalated), "not answered within 4 hours, or after several were not sure"},
		{"feedback", number(v.Feedback), fmt.Sprintf("came later; %s cases were opened again, %s answers overturned", number(v.Appeals), number(v.Overturned))},
	})
}

func (t *TextWriter) quality(r *Report) {
	t.heading("Can they be trusted?")
	rows := [][]string{{"", "answers", "test items wrong", "error estimated", "95 % interval", "true error", "simulated with"}}
	for _, p := range r.People {
		rows = append(rows, []string{
			p.Name, number(p.Verdicts), fmt.Sprintf("%d of %d", p.GoldErrors, p.GoldItems), percent(p.Estimated), between(p.Low, p.High), percent(p.Realised()), whole(p.SimulatedRate),
		})
	}
	t.table(true, rows)
	t.linef("Estimated by Dawid and Skene's method from test items and second opinions. The true error is what the simulation knows.")
	t.linef("Agreement of %s pairs of blind answers: Cohen's kappa %.2f (mean over pairs of people), Krippendorff's alpha %.2f.", number(r.Agreement.Items), r.Agreement.Kappa, r.Agreement.Alpha)
}

func (t *TextWriter) cost(r *Report) {
	c, n := r.Cost, int64(max(1, r.Traffic.Inquiries))
	t.heading("What it cost")
	row := func(name string, with, without int64) []string {
		return []string{name, money(with/n, c.Currency, 3), money(without/n, c.Currency, 3), money(with, c.Currency, 0), money(without, c.Currency, 0), percent(saved(with, without))}
	}
	t.table(true, [][]string{
		{"", "per inquiry", "all by hand", "the day", "all by hand", "saved"},
		row("at the prices of the policy", c.Decisions, c.Baseline),
		row("with the time that people took", c.Spent, c.SpentBaseline),
	})
	t.linef("%s an hour; the policy counts %s an item, audits too. The second line adds second opinions and test items. Computing: %s.",
		money(c.ReviewerHour, c.Currency, 0), span(c.ItemSeconds), cents(c))
}

func cents(c Cost) string {
	if c.Compute < 10_000 {
		return "less than a cent"
	}
	return money(c.Compute, c.Currency, 2)
}

func saved(with, without int64) float64 { return 1 - share(with, without) }

func (t *TextWriter) example(r *Report) {
	e := r.Example
	if e == nil {
		return
	}
	t.heading("One inquiry about which two people differed")
	t.linef("“%s”", shorten(e.Text, 90))
	t.linef("Suggested: %s (%s). True: %s.", e.Suggestion, percent(e.Confidence), e.Truth)
	for _, s := range e.Steps {
		t.linef("%s  %-8s %s", clock(s.Time), s.Who, s.What)
	}
}

func (t *TextWriter) kept(r *Report) {
	t.heading("What is kept")
	rows := [][]string{{"lake", "rows", "files", "size"}}
	for _, x := range r.Lake {
		rows = append(rows, []string{x.Name, number(x.Rows), number(x.Files), size(x.Bytes)})
	}
	t.table(true, rows)
	t.linef("Of %s inquiries %s came as one job, %s over REST, the others over gRPC; %s calls were sent twice and decided once.",
		number(r.Traffic.Inquiries), number(r.Traffic.Batch), number(r.Traffic.REST), number(r.Traffic.Repeated))
	if r.Traffic.Late > 0 {
		t.linef("Calls that a busy machine did not answer in time, and that were sent again: %s.", number(r.Traffic.Late))
	}
}

func (t *TextWriter) checks(r *Report) {
	t.heading("Checked")
	for _, c := range r.Checks {
		mark := "✓"
		if !c.OK {
			mark = "✗"
		}
		t.linef("%s %-46s %s", mark, c.What, c.Detail)
	}
}

// Say writes a line of its own.
func (t *TextWriter) Say(format string, args ...any) error {
	fmt.Fprintf(t.w, format+"\n", args...)
	return t.w.Flush()
}
