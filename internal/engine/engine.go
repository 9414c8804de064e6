// Package engine scores texts and records with models that were trained here. It knows nothing of gRPC, of projects or of
// decisions: it turns an input into calibrated probabilities, and labelled rows into a model file.
package engine

import "errors"

// Kind says what a model scores and with which method.
type Kind uint8

// The kinds of model that this release reads and writes. The numbers are part of the file format.
const (
	KindTextLinear   Kind = 1 // hashed n-grams, linear weights
	KindRecordLinear Kind = 2 // binned and one-hot fields, linear weights
	KindRecordTrees  Kind = 3 // histogram gradient-boosted trees
)

// String returns the name of the kind as it stands in reports and in the registry.
func (k Kind) String() string {
	switch k {
	case KindTextLinear:
		return "text-linear"
	case KindRecordLinear:
		return "record-linear"
	case KindRecordTrees:
		return "record-trees"
	}
	return "unknown"
}

// Task says how the probabilities of a model relate to each other.
type Task uint8

// The tasks. The numbers are part of the file format.
const (
	Multiclass Task = 1 // one label of several: the probabilities sum to 1
	Multilabel Task = 2 // every label by itself: each probability is between 0 and 1
)

// ValueKind is the type of one field of a record.
type ValueKind uint8

// The types that a field may have. Missing fields are absent from the record.
const (
	Number ValueKind = 1
	Text   ValueKind = 2
	Bool   ValueKind = 3
)

// Value is one typed field of a record. Only the member that Kind names is read.
type Value struct {
	Kind   ValueKind
	Number float64
	Text   string
	Bool   bool
}

// Record is a row of named, typed fields.
type Record map[string]Value

// Input is what is scored: a text for text models, a record for record models.
type Input struct {
	Text   string
	Record Record
}

// Column describes one field that a record model was trained on.
type Column struct {
	Name string    `json:"name"`
	Kind ValueKind `json:"kind"`
}

// Info describes a model; it never changes after the model was opened.
type Info struct {
	Kind   Kind
	Task   Task
	Labels []string // in the order of the probabilities
	// OutOfScope is the index of the label that means "none of the others", -1 when the model has none.
	OutOfScope int
	// Digest is "sha256:" and the hex digest of the whole file: equal digest, equal answers.
	Digest string
	// Columns are the fields of a record model, in training order; nil for text models.
	Columns []Column
	// Meta holds what the trainer noted: settings, seed, row counts. Never secrets, never data.
	Meta map[string]string
}

// Evidence is the contribution of one n-gram or field to the score of one label.
type Evidence struct {
	// Feature is the n-gram as it was read (normalised), or "field=value" for records.
	Feature string
	// Start and End are byte offsets into the input text (End exclusive) of the first occurrence; both 0 for records.
	Start, End int
	// Weight is the exact amount that the feature added to the label's logit before calibration; the weights of all features and the bias sum to that logit.
	Weight float64
}

// Predictor is an opened model. Its methods may be called from many goroutines; Close only when no call is running.
type Predictor interface {
	Info() *Info
	// Predict writes the calibrated probability of each label into p, whose length is that of Info().Labels.
	// It does not allocate. It fails with ErrInput when the input is not what the model was trained on.
	Predict(in Input, p []float32) error
	// Explain returns the at most top pieces of evidence that weighed most, by absolute weight, for the label with that index.
	Explain(in Input, label, top int) ([]Evidence, error)
	Close() error
}

var (
	// ErrFormat means that a file is not a model, is damaged, or needs a newer release.
	ErrFormat = errors.New("not a valid model file")
	// ErrInput means that an input does not fit the model: a record for a text model, a missing or mistyped field.
	ErrInput = errors.New("input does not fit the model")
)
