package dataset

// Sampling says how a row came to be among the labelled ones. Of traffic that a model decides partly by itself, people label all that it left to them and a random share of the rest:
// labelled rows are harder than the traffic, and whatever is measured on them has to make up for that.
//
// The zero value is that of rows that were not chosen: everything was labelled.
type Sampling struct {
	// Probability is with which probability the row was chosen to be labelled, in (0, 1]; 0 stands for 1. It is Unknown where nobody knows, such as for
	// complaints: such rows teach, and measure nothing.
	Probability float64
	// Least is the smallest probability of any decision that was made like this one, by the same model under the same promise; 0 stands for Probability. Rows that are kept
	// with probability Least/Probability are, together, a sample of that traffic in which everything is alike. It is Unknown where no such sample can be drawn.
	Least float64
}

// LeastField is the column of Sampling.Least, beside the one that Options.ProbabilityField names.
const LeastField = "least"

// Unknown is a probability that nobody knows.
const Unknown = -1

// Weight returns how many rows of the traffic the row stands for (Horvitz and Thompson 1952); 0 when nobody knows.
func (s Sampling) Weight() float64 {
	switch {
	case s.Probability < 0:
		return 0
	case s.Probability == 0:
		return 1
	}
	return 1 / s.Probability
}

// Thinned returns the probability with which a row of an even sample of the traffic is one that is labelled (rate), and the one with which this row has to be kept for it (keep). Both are 0 when
// the row cannot be part of one.
func (s Sampling) Thinned() (rate, keep float64) {
	if s.Probability < 0 || s.Least < 0 {
		return 0, 0
	}
	probability := s.Probability
	if probability == 0 {
		probability = 1
	}
	if s.Least == 0 || s.Least > probability {
		return probability, 1
	}
	return s.Least, s.Least / probability
}

// Even says whether all rows were labelled alike, so that they are a sample of the traffic as they are.
func Even(rows []Row) bool {
	for _, r := range rows {
		if rate, _ := r.Sampling.Thinned(); rate != 1 {
			return false
		}
	}
	return true
}
