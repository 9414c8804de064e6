package risk

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTemperatureRecoversTheTruth(t *testing.T) {
	t.Parallel()
	const n, labels = 20000, 5
	for _, want := range []float64{0.5, 1, 3} {
		rng := rand.New(rand.NewPCG(1, uint64(want*10)))
		logits, truth := make([]float32, n*labels), make([]int32, n)
		for i := range n {
			row := logits[i*labels : (i+1)*labels]
			z, p := 0.0, [labels]float64{}
			for j := range row {
				honest := rng.NormFloat64() * 2
				row[j] = float32(honest * want) // the model is want times too sure
				p[j] = math.Exp(honest)
				z += p[j]
			}
			u := rng.Float64() * z
			for j := range p {
				if u -= p[j]; u <= 0 || j == labels-1 {
					truth[i] = int32(j)
					break
				}
			}
		}
		if got := Temperature(logits, labels, truth); math.Abs(got-want) > 0.05*want {
			t.Errorf("Temperature = %v, want %v", got, want)
		}
	}
}

func TestTemperatureOfNothingIsOne(t *testing.T) {
	t.Parallel()
	if got := Temperature(nil, 3, nil); got != 1 {
		t.Errorf("no rows: %v", got)
	}
	if got := Temperature([]float32{5, 1, 5, 1}, 2, []int32{0, 0}); got < minTemperature*0.99 || got > maxTemperature {
		t.Errorf("always right: %v outside of its bounds", got)
	}
}

func TestPlattRecoversTheSigmoid(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 9))
	for _, want := range [][2]float64{{1, 0}, {0.4, -1.5}, {2.5, 1}} {
		x, y := make([]float32, 30000), make([]bool, 30000)
		for i := range x {
			x[i] = float32(rng.NormFloat64() * 2)
			y[i] = rng.Float64() < sigmoid(want[0]*float64(x[i])+want[1])
		}
		a, b := Platt(x, y)
		if math.Abs(a-want[0]) > 0.1*want[0] || math.Abs(b-want[1]) > 0.15 {
			t.Errorf("Platt = %v, %v; want %v", a, b, want)
		}
	}
}

func TestPlattRefusesWhatTeachesNothing(t *testing.T) {
	t.Parallel()
	cases := []struct {
		x []float32
		y []bool
	}{
		{nil, nil},
		{[]float32{1, 2, 3}, []bool{true, true, true}},
		{[]float32{-1, -2, 1, 2}, []bool{true, true, false, false}}, // turned around
	}
	for _, c := range cases {
		if a, b := Platt(c.x, c.y); a != 1 || b != 0 {
			t.Errorf("Platt(%v, %v) = %v, %v; want the identity", c.x, c.y, a, b)
		}
	}
	if a, b := Platt([]float32{2, 2, 2, 2}, []bool{true, false, true, true}); math.IsNaN(a) || math.IsNaN(b) {
		t.Errorf("equal logits give %v, %v", a, b)
	}
}

func TestCalibrationErrorOfHonestAndBoastfulModels(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 2))
	scores, correct := make([]float64, 50000), make([]bool, 50000)
	for i := range scores {
		scores[i] = rng.Float64()
		correct[i] = rng.Float64() < scores[i]
	}
	if e := CalibrationError(Reliability(scores, correct, 15)); e > 0.01 {
		t.Errorf("honest model: calibration error %v", e)
	}
	for i := range scores {
		scores[i], correct[i] = 1, i%2 == 0
	}
	bins := Reliability(scores, correct, 10)
	if e := CalibrationError(bins); math.Abs(e-0.5) > 1e-9 {
		t.Errorf("always sure, half right: calibration error %v, want 0.5", e)
	}
	if bins[9].Count != 50000 || bins[0].Count != 0 {
		t.Errorf("score 1 belongs into the last bin: %+v", bins)
	}
	if CalibrationError(nil) != 0 {
		t.Error("no bins: want 0")
	}
}
