package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
)

// probeTexts mean nothing. They are few and short, because every word touches a page of the model; they hold what readers of texts disagree about: case, accents, digits, scripts,
// repeated signs.
var probeTexts = [...]string{
	"The quick brown fox jumps over the lazy dog, 0123456789.",
	"Überweisung ÉCHOUÉE!!! señor's naïve café №5 — 12,50 €",
	"можно ли 今天 مرحبا 👍👍",
	"a",
}

// Probes returns inputs of the kind that a model reads. They are the same in every process and release.
func Probes(info *Info) []Input {
	if info.Kind == KindTextLinear {
		out := make([]Input, len(probeTexts))
		for i, t := range probeTexts {
			out[i].Text = t
		}
		return out
	}
	out := make([]Input, len(probeTexts))
	for i, t := range probeTexts {
		out[i].Record = make(Record, len(info.Columns))
		for j, c := range info.Columns {
			if i > 0 && (i+j)%len(probeTexts) == 0 {
				continue // a field that is missing
			}
			out[i].Record[c.Name] = Value{Kind: c.Kind, Number: float64(i*i*i*(j+1)) - 1.5, Text: t, Bool: (i+j)%2 == 1}
		}
	}
	return out
}

// Fingerprint predicts the probes and returns the hex SHA-256 of the bits of all probabilities. Two processes whose fingerprints of a model are equal read it and compute with it
// alike. It fails where a prediction does.
func Fingerprint(p Predictor) (string, error) {
	info, h := p.Info(), sha256.New()
	probabilities := make([]float32, len(info.Labels))
	var bits []byte
	for i, in := range Probes(info) {
		clear(probabilities)
		bits = bits[:0]
		switch err := p.Predict(in, probabilities); {
		case errors.Is(err, ErrInput): // such as a field that this model cannot do without; the refusal is part of the fingerprint
			bits = append(bits, '!')
		case err != nil:
			return "", fmt.Errorf("probe %d: %w", i, err)
		}
		for _, v := range probabilities {
			bits = binary.BigEndian.AppendUint32(bits, math.Float32bits(v))
		}
		_, _ = h.Write(bits) // never fails
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
