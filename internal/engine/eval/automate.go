package eval

import (
	"fmt"
	"math"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// Automate says what the certificates allow: on the sample that certified, and on the measured points. delta is the chance that
// any of the promises is broken.
func Automate(certificates []risk.Certificate, delta float64, measured []risk.Point) Automation {
	a := Automation{Delta: delta, Certificates: certificates}
	for _, c := range certificates {
		a.Alpha = max(a.Alpha, c.Alpha)
		a.CertifiedShare += c.Coverage
		a.Certified = a.Certified || c.Certified
		if !c.Certified {
			switch {
			case c.MoreLabels < 0 && a.LabelsNeeded == 0:
				a.LabelsNeeded = -1
			case c.MoreLabels > a.LabelsNeeded:
				a.LabelsNeeded = c.MoreLabels
			}
		}
	}
	all, automated, wrong := 0.0, 0.0, 0.0
	for _, p := range measured {
		all += p.Stands()
		if !Accepts(certificates, p) {
			continue
		}
		a.AutomatedRows++
		automated += p.Stands()
		if !p.Correct {
			a.RealisedErrors++
			wrong += p.Stands()
		}
	}
	a.Share, a.RealisedError = part(automated, all), part(wrong, automated)
	return a
}

// Accepts says whether the certificates let a point be automated.
func Accepts(certificates []risk.Certificate, p risk.Point) bool {
	c, ok := risk.Find(certificates, p.Side)
	return ok && !p.Abstain && c.Accepts(p.Score)
}

// Sentence states the promise, such as "certified error ≤ 2.0 % (95 %), automated 81 %, 87 more labels certify 1.0 %". next is the
// stricter promise to strive for, nil for none.
func Sentence(a Automation, next *Automation) string {
	var b strings.Builder
	if a.Certified {
		fmt.Fprintf(&b, "certified error ≤ %s (%s), automated %s", budgets(a), percent(1-a.Delta, 0), percent(a.CertifiedShare, 0))
	} else {
		fmt.Fprintf(&b, "error ≤ %s (%s) is not certified, nothing is automated", budgets(a), percent(1-a.Delta, 0))
		next = &a
	}
	if next == nil || next.LabelsNeeded == 0 {
		return b.String()
	}
	if next.LabelsNeeded < 0 {
		fmt.Fprintf(&b, "; more labels alone would not certify %s", budgets(*next))
	} else {
		fmt.Fprintf(&b, ", about %d more labels certify %s", next.LabelsNeeded, budgets(*next))
	}
	return b.String()
}

// budgets writes the α of a promise, one per side where they differ.
func budgets(a Automation) string {
	same := true
	for _, c := range a.Certificates {
		same = same && c.Alpha == a.Alpha
	}
	if same {
		return percent(a.Alpha, 1)
	}
	var parts []string
	for _, c := range a.Certificates {
		side := c.Side
		if side == "" {
			side = "other labels"
		}
		parts = append(parts, side+" "+percent(c.Alpha, 1))
	}
	return strings.Join(parts, ", ")
}

func percent(v float64, digits int) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.*f %%", digits, 100*v)
}
