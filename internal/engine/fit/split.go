package fit

import (
	"math"
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

// Rows that were labelled by a share of their kind are rare and stand for many, so most of them certify; of all other rows of the same era only as large a share as makes the parts even.
const (
	mostHeld      = 0.9        // of the rows of an even sample certify at most
	mostTempered  = 0.1        // and calibrate at most
	sampledStream = 0x73616d70 // of random numbers
)

// divideSampled divides groups of rows that were chosen to be labelled, with different probabilities. Each part that measures becomes a sample of the traffic as it was: a group goes into it with a
// probability that is inverse to the one with which it was labelled (Madow's systematic sampling in a random order). Rows of which nobody knows why they are labelled only teach.
func divideSampled(rows []dataset.Row, groups [][]int, holdOut, calibrate float64, seed uint64, texts bool, p *parts) {
	rng := rand.New(rand.NewPCG(seed, sampledStream)) // repeatable, not secret
	rng.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
	trained := map[string]bool{}
	for _, i := range p.train {
		for _, l := range rows[i].Labels {
			trained[l] = true
		}
	}
	at := rng.Float64()
	for _, g := range groups {
		rate, keep := rows[g[0]].Sampling.Thinned()
		unknown := slices.ContainsFunc(rows[g[0]].Labels, func(l string) bool { return !trained[l] }) // a label has to be learned before anything else
		if rate == 0 || unknown {
			p.train = append(p.train, g...)
			for _, l := range rows[g[0]].Labels {
				trained[l] = true
			}
			continue
		}
		certify, temper := keep*min(mostHeld, holdOut/rate), keep*min(mostTempered, calibrate/rate)
		switch next := math.Ceil(at); { // the next whole number, which the group's stretch may hold
		case next < at+certify:
			if texts {
				g = g[:1]
			}
			p.certify = append(p.certify, g...)
		case next < at+certify+temper:
			p.calibrate = append(p.calibrate, g...)
		default:
			p.train = append(p.train, g...)
		}
		at += certify + temper
	}
}

// split divides the rows. Rows with equal keys or of one group stay together; each label set is divided in the same proportions, with the
// remainders carried from one to the next, so that 77 labels of 13 rows give a tenth of all rows and not nothing.
func split(rows []dataset.Row, holdOut, calibrate float64, seed uint64, texts bool) parts {
	groups := stratify(rows)
	rng := rand.New(rand.NewPCG(seed, 0x73706c6974)) // repeatable, not secret
	var p parts
	var sampled [][]int
	var carryCertify, carryCalibrate float64
	for _, stratum := range groups {
		stratum, sampled = withoutSampled(rows, stratum, sampled)
		if len(stratum) == 0 {
			continue
		}
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
	divideSampled(rows, sampled, holdOut, calibrate, seed, texts, &p)
	slices.Sort(p.train)
	slices.Sort(p.calibrate)
	slices.Sort(p.certify)
	return p
}

// withoutSampled takes out of a stratum the groups whose rows were chosen to be labelled, and adds them to the others of these.
func withoutSampled(rows []dataset.Row, stratum, sampled [][]int) (left, all [][]int) {
	left = stratum[:0:0]
	for _, g := range stratum {
		if rate, keep := rows[g[0]].Sampling.Thinned(); rate == 1 && keep == 1 {
			left = append(left, g)
		} else {
			sampled = append(sampled, g)
		}
	}
	return left, sampled
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
