package text

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Calibration turns logits into probabilities that mean what they say. The zero value leaves them as they are.
type Calibration struct {
	// Temperature divides the logits of a multiclass model before the softmax; 0 means 1 (Guo et al. 2017).
	Temperature float64
	// Platt holds, for each label of a multilabel model, A and B of 1/(1+exp(-(A·logit+B))); empty means A=1, B=0 (Platt 1999).
	Platt []struct{ A, B float64 }
}

// check says whether the calibration fits a model.
func (c Calibration) check(task engine.Task, labels int) error {
	limit := func(x float64) bool { return math.Abs(x) <= 1e6 } // false for NaN
	switch {
	case task == engine.Multiclass && len(c.Platt) > 0:
		return fmt.Errorf("a multiclass model takes a temperature, not Platt parameters")
	case task == engine.Multiclass && c.Temperature != 0 && !(c.Temperature >= 1e-6 && c.Temperature <= 1e6):
		return fmt.Errorf("temperature %v is not between 1e-6 and 1e6", c.Temperature)
	case task == engine.Multilabel && c.Temperature != 0:
		return fmt.Errorf("a multilabel model takes Platt parameters, not a temperature")
	case task == engine.Multilabel && len(c.Platt) != 0 && len(c.Platt) != labels:
		return fmt.Errorf("have Platt parameters for %d labels, model has %d", len(c.Platt), labels)
	}
	for l, p := range c.Platt {
		if !limit(p.A) || !limit(p.B) {
			return fmt.Errorf("have Platt parameters %v of label %d are not between -1e6 and 1e6", p, l)
		}
	}
	return nil
}

func (c Calibration) encode(task engine.Task, labels int) []byte {
	le := binary.LittleEndian
	if task == engine.Multiclass {
		t := c.Temperature
		if t == 0 {
			t = 1
		}
		return le.AppendUint64(nil, math.Float64bits(t))
	}
	var b []byte
	for l := range labels {
		p := struct{ A, B float64 }{1, 0}
		if len(c.Platt) > 0 {
			p = c.Platt[l]
		}
		b = le.AppendUint64(le.AppendUint64(b, math.Float64bits(p.A)), math.Float64bits(p.B))
	}
	return b
}

func (c *Calibration) open(task engine.Task, labels int, b []byte) error {
	want := 8
	if task == engine.Multilabel {
		want = 16 * labels
	}
	if len(b) != want {
		return damaged("section %s has %d bytes, want %d", sectionCalibration, len(b), want)
	}
	float := func(i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])) }
	*c = Calibration{}
	if task == engine.Multiclass {
		if c.Temperature = float(0); c.Temperature == 0 {
			return damaged("temperature is 0")
		}
	} else {
		c.Platt = make([]struct{ A, B float64 }, labels)
		for l := range labels {
			c.Platt[l].A, c.Platt[l].B = float(2*l), float(2*l+1)
		}
	}
	if err := c.check(task, labels); err != nil {
		return damaged("%w", err)
	}
	return nil
}

// apply turns logits into probabilities in place.
func (c *Calibration) apply(p []float32) {
	if c.Platt == nil {
		softmax(p, p, float32(1/c.Temperature))
		return
	}
	for l, x := range p {
		p[l] = float32(sigmoid(float64(c.Platt[l].A*float64(x)) + c.Platt[l].B))
	}
}
