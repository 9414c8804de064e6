package fit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
)

// index numbers the labels of a training set.
type index struct {
	names      []string // sorted
	number     map[string]int32
	outOfScope int
	multilabel bool
	harmless   []int
}

func newIndex(set *dataset.Set, o Options) (*index, error) {
	x := &index{number: map[string]int32{}, outOfScope: -1}
	for _, row := range set.Rows {
		x.multilabel = x.multilabel || len(row.Labels) != 1
		for _, l := range row.Labels {
			x.number[l] = 0
		}
	}
	if o.MultiLabel != nil {
		if !*o.MultiLabel && x.multilabel {
			return nil, fmt.Errorf("some rows do not have exactly one label, but one label a row was asked for: %w", ErrData)
		}
		x.multilabel = *o.MultiLabel
	}
	for l := range x.number {
		x.names = append(x.names, l)
	}
	slices.Sort(x.names)
	for i, l := range x.names {
		x.number[l] = int32(i)
		if l == o.OutOfScopeLabel && !x.multilabel {
			x.outOfScope = i
		}
	}
	for l := range o.LabelAlpha {
		if _, ok := x.number[l]; !ok {
			return nil, fmt.Errorf("there is a budget for the label %q, which no row has; the labels are %s: %w", l, some(x.names), ErrOptions)
		}
	}
	if o.Operation != eval.Moderation {
		return x, nil
	}
	var err error
	x.harmless, err = harmless(x.names, o.HarmlessLabels, x.multilabel)
	return x, err
}

// truth returns the numbers of a row's labels; -1 for a label that training did not see.
func (x *index) truth(row dataset.Row) []int32 {
	out := make([]int32, len(row.Labels))
	for i, l := range row.Labels {
		n, ok := x.number[l]
		if !ok {
			n = -1
		}
		out[i] = n
	}
	return out
}

// harmless finds the labels that mean "nothing wrong". For multi-label sets there may be none: a row without labels says it.
func harmless(names, given []string, multilabel bool) ([]int, error) {
	found := []int{}
	for _, g := range given {
		i := slices.Index(names, g)
		if i < 0 {
			return nil, fmt.Errorf("the harmless label %q is on no row; the labels are %s: %w", g, some(names), ErrOptions)
		}
		found = append(found, i)
	}
	if len(given) == 0 {
		for i, name := range names {
			if soundsHarmless(name) {
				found = append(found, i)
			}
		}
	}
	switch {
	case len(found) == 0 && !multilabel:
		return nil, fmt.Errorf("none of the labels (%s) is known to mean \"nothing wrong\"; name it with --harmless-label: %w", some(names), ErrOptions)
	case len(found) == len(names):
		return nil, fmt.Errorf("all labels (%s) mean \"nothing wrong\"; name the harmless ones with --harmless-label: %w", some(names), ErrOptions)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// soundsHarmless knows the names that public moderation sets give to texts without fault.
func soundsHarmless(label string) bool {
	name := strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(label))
	for _, prefix := range []string{"not_", "non_", "no_", "un_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "ham", "ok", "okay", "none", "neither", "neutral", "normal", "clean", "safe", "benign", "harmless", "acceptable", "appropriate",
		"allow", "allowed", "approve", "approved", "good", "fine", "other", "others", "no", "false", "0":
		return true
	}
	return false
}

// Harmless returns the indices of the labels that mean "nothing wrong" in a model that Run made for moderation, nil for others.
// It fails with engine.ErrFormat when the note is damaged.
func Harmless(info *engine.Info) ([]int, error) {
	note, ok := info.Meta[MetaHarmless]
	if !ok {
		return nil, nil
	}
	var names []string
	if err := json.Unmarshal([]byte(note), &names); err != nil {
		return nil, fmt.Errorf("read the harmless labels: %w: %w", engine.ErrFormat, err)
	}
	out := []int{}
	for _, n := range names {
		i := slices.Index(info.Labels, n)
		if i < 0 {
			return nil, fmt.Errorf("read the harmless labels: %q is not a label: %w", n, engine.ErrFormat)
		}
		out = append(out, i)
	}
	return out, nil
}

// some lists at most ten names.
func some(names []string) string {
	if len(names) > 10 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:10], ", "), len(names)-10)
	}
	return strings.Join(names, ", ")
}
