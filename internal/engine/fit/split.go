package fit

import (
	"math/rand/v2"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

const (
	defaultHoldOut  = 0.10
	largestHoldOut  = 0.25 // of a small set whose budget needs more rows than a tenth
	mostCertifying  = 20_000
	calibrationPart = 0.05
	mostCalibrating = 2_000 // rows for sigmoids, one per label, and for choosing between methods
	temperingPart   = 0.03  // rows for a temperature: a single number, which a few hundred rows tell within a few per cent
	mostTempering   = 1_000
	leastStopping   = 1_000 // calibration rows of texts with which training may stop early
)

// parts are row numbers of a set, each in ascending order.
type parts struct {
	train, calibrate, certify []int
}

// split divides the rows. Rows with equal keys or of one group stay together; each label set is divided in the same proportions, with the
// remainders carried from one to the next, so that 77 labels of 13 rows give a tenth of all rows and not nothing.
func split(rows []dataset.Row, holdOut, calibrate float64, seed uint64, texts bool) parts {
	groups := stratify(rows)
	rng := rand.New(rand.NewPCG(seed, 0x73706c6974)) // repeatable, not secret
	var p parts
	var carryCertify, carryCalibrate float64
	for _, stratum := range groups {
		rng.Shuffle(len(stratum), func(i, j int) { stratum[i], stratum[j] = stratum[j], stratum[i] })
		size := 0
		for _, g := range stratum {
			size += len(g)
		}
		carryCertify += holdOut * float64(size)
		carryCalibrate += calibrate * float64(size)
		// The first group of each stratum is for training, whatever the proportions: a label has to be learned before anything else.
		p.train = append(p.train, stratum[0]...)
		for _, g := range stratum[1:] {
			switch n := float64(len(g)); {
			case carryCertify >= n:
				carryCertify -= n
				if texts {
					g = g[:1] // a text is one observation, however often the file repeats it: the test needs independent ones
				}
				p.certify = append(p.certify, g...)
			case carryCalibrate >= n:
				carryCalibrate -= n
				p.calibrate = append(p.calibrate, g...)
			default:
				p.train = append(p.train, g...)
			}
		}
	}
	slices.Sort(p.train)
	slices.Sort(p.calibrate)
	slices.Sort(p.certify)
	return p
}

// stratify groups row numbers by key, and the groups by the rarest label of their first row (multi-label sets have too many
// combinations to divide each), both in an order that depends on the rows alone.
func stratify(rows []dataset.Row) [][][]int {
	counts := map[string]int{}
	for _, row := range rows {
		for _, l := range row.Labels {
			counts[l]++
		}
	}
	byKey, byGroup := make(map[dataset.Key]int, len(rows)), map[string]int{}
	var groups [][]int
	for i, row := range rows {
		at, ok := byKey[row.Key()]
		if row.Group != "" {
			at, ok = byGroup[row.Group]
		}
		if !ok {
			at = len(groups)
			groups = append(groups, nil)
		}
		byKey[row.Key()] = at
		if row.Group != "" {
			byGroup[row.Group] = at
		}
		groups[at] = append(groups[at], i)
	}
	byLabels := map[string]int{}
	var strata [][][]int
	for _, g := range groups {
		name := rarest(rows[g[0]].Labels, counts)
		at, ok := byLabels[name]
		if !ok {
			at = len(strata)
			byLabels[name] = at
			strata = append(strata, nil)
		}
		strata[at] = append(strata[at], g)
	}
	return strata
}

// calibration returns the share of rows that is kept for calibration.
func calibration(rows int, temperature bool) float64 {
	part, most := calibrationPart, mostCalibrating
	if temperature {
		part, most = temperingPart, mostTempering
	}
	return min(part, float64(most)/float64(rows))
}

// rarest returns the label with the fewest rows, the first of equals, "" for no label.
func rarest(labels []string, counts map[string]int) string {
	best := ""
	for _, l := range labels {
		if best == "" || counts[l] < counts[best] || (counts[l] == counts[best] && l < best) {
			best = l
		}
	}
	return best
}

// holdOut returns the share of rows that is kept for certification: what the options say, else a tenth, raised for small sets to
// what the strictest budget needs if about a quarter of the rows is to be automated.
func (o Options) holdOut(rows int) float64 {
	if o.HoldOut > 0 {
		return o.HoldOut
	}
	alpha, delta := o.Alpha, o.Delta
	if o.Operation == "moderation" {
		alpha, delta = min(o.RemoveAlpha, o.AllowAlpha), o.Delta/2
	}
	need := 4 * float64(risk.MinAccepted(alpha, delta))
	share := max(defaultHoldOut, min(largestHoldOut, need/float64(rows)))
	return min(share, mostCertifying/float64(rows))
}
