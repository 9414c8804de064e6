package console

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// maxTerms is how much is highlighted: more would be everything.
const maxTerms = 12

// term is something that weighed on the answer.
type term struct {
	Text string
	For  bool // it speaks for the suggested label, not against it
}

// marked is a text cut where terms begin and end.
type marked []segment

// segment is a part of a text; Mark is "", "for" or "against".
type segment struct{ Text, Mark string }

// mark highlights the terms in a text, as whole sequences, whatever their case. Where terms overlap, the longer one counts.
func mark(text string, terms []term) marked {
	if text == "" {
		return nil
	}
	folded, back := foldCase(text)
	marks := make([]byte, len(text)) // per byte: 0 none, 1 for, 2 against
	slices.SortStableFunc(terms, func(a, b term) int { return cmp.Compare(len(a.Text), len(b.Text)) })
	for _, t := range terms {
		needle, _ := foldCase(strings.TrimSpace(t.Text))
		if utf8.RuneCountInString(needle) < 3 {
			continue // one or two letters stand everywhere and tell a person nothing
		}
		kind := byte(2)
		if t.For {
			kind = 1
		}
		for from := 0; ; {
			i := strings.Index(folded[from:], needle)
			if i < 0 {
				break
			}
			start, end := from+i, from+i+len(needle)
			for k := back[start]; k < back[end]; k++ {
				marks[k] = kind
			}
			from = end
		}
	}
	return cut(text, marks)
}

// cut splits a text where its marks change.
func cut(text string, marks []byte) marked {
	names := [...]string{"", "for", "against"}
	var out marked
	for start := 0; start < len(text); {
		end := start + 1
		for end < len(text) && marks[end] == marks[start] {
			end++
		}
		out = append(out, segment{Text: text[start:end], Mark: names[marks[start]]})
		start = end
	}
	return out
}

// foldCase lowers a text and returns, for each byte of the result and its end, where it comes from.
func foldCase(text string) (folded string, back []int) {
	var b strings.Builder
	for i, r := range text {
		low := unicode.ToLower(r)
		for range utf8.RuneLen(low) {
			back = append(back, i)
		}
		b.WriteRune(low)
	}
	return b.String(), append(back, len(text))
}

// evidence asks the version that decided what weighed on the suggestion. The page works without: the key may lack models:read, or the version be gone.
func (c *Console) evidence(ctx context.Context, item *reviewv1.ReviewItem) (terms []term) {
	if item.GetModel() == "" || item.GetInput() == nil || c.models == nil {
		return nil
	}
	label := ""
	if len(item.GetSuggestedLabels()) > 0 {
		label = item.GetSuggestedLabels()[0]
	}
	res, err := c.models.ExplainVersion(ctx, &modelsv1.ExplainVersionRequest{
		Model: item.GetModel(), Version: item.GetModelVersion(), Input: item.GetInput(), Label: label, MaxEvidence: maxTerms,
	})
	if err != nil {
		return nil
	}
	for _, e := range res.GetEvidence() {
		terms = append(terms, term{Text: e.GetFeature(), For: e.GetWeight() > 0})
	}
	return terms
}
