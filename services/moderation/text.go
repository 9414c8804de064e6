package moderation

import (
	"strings"

	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Limits of the contract. For the items of batches and streams they are checked here, because one bad item must not fail the others.
const (
	maxText       = 100000
	maxTitle      = 1000
	maxLocale     = 35
	maxID         = 128
	maxDeployment = 64

	defaultEvidence = 5
)

// text is a text however it was sent.
type text struct {
	title, text, locale, authorID, contentID string
	evidence                                 int // how many pieces to give
}

func fromRequest(r *moderationv1.ModerateTextRequest) text {
	t := text{
		title: r.GetTitle(), text: r.GetText(), locale: r.GetLocale(), authorID: r.GetAuthorId(), contentID: r.GetContentId(), evidence: defaultEvidence,
	}
	if r.MaxEvidence != nil {
		t.evidence = int(r.GetMaxEvidence())
	}
	return t
}

func fromItem(r *moderationv1.TextItem) text {
	return text{title: r.GetTitle(), text: r.GetText(), locale: r.GetLocale(), authorID: r.GetAuthorId(), contentID: r.GetContentId()}
}

// check refuses what the contract does not allow.
func (t *text) check() error {
	if err := decision.CheckTexts(
		decision.Text{Field: "text", Value: t.text, Max: maxText}, decision.Text{Field: "title", Value: t.title, Max: maxTitle},
		decision.Text{Field: "locale", Value: t.locale, Max: maxLocale}, decision.Text{Field: "author_id", Value: t.authorID, Max: maxID},
		decision.Text{Field: "content_id", Value: t.contentID, Max: maxID},
	); err != nil {
		return err
	}
	if strings.TrimSpace(t.text) == "" {
		return fault.InvalidField("text", "must hold more than white space")
	}
	return nil
}

// scored is what the model reads. Texts in training data have no empty first line, so an absent title leaves none.
func (t *text) scored() string {
	if t.title == "" {
		return t.text
	}
	return t.title + "\n" + t.text
}

func (t *text) input() decision.Input {
	return decision.Input{Title: t.title, Text: t.text, Locale: t.locale}
}

// span turns a place in the scored text into one in the title or the text as sent.
func (t *text) span(start, end int) *moderationv1.Span {
	if t.title == "" {
		return &moderationv1.Span{Start: int32(start), End: int32(end)}
	}
	if start < len(t.title) { // may reach across the line end between them; what lies in the title is shown
		return &moderationv1.Span{Start: int32(start), End: int32(min(end, len(t.title))), InTitle: true}
	}
	shift := len(t.title) + 1
	return &moderationv1.Span{Start: int32(max(start-shift, 0)), End: int32(max(end-shift, 0))}
}

// explained turns the engine's evidence into the contract's.
func (t *text) explained(all []engine.Evidence, label string) []*moderationv1.Evidence {
	out := make([]*moderationv1.Evidence, 0, len(all))
	for _, e := range all {
		out = append(out, &moderationv1.Evidence{Ngram: e.Feature, Label: label, Weight: e.Weight, Span: t.span(e.Start, e.End)})
	}
	return out
}
