package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

const (
	// complains is the share of wrongly routed inquiries whose customers or colleagues say so, praises the share of the others that are confirmed.
	complains, praises = 0.6, 0.03
	// appeals is the share of wrong final verdicts that somebody doubts.
	appeals = 0.3
	// goldFromBacklog is how many inquiries of the night become test items: the lead has answered them with care.
	goldFromBacklog = 40
)

// hear sends, some hours after an inquiry was routed by itself, what became of it, for those of which anybody hears.
func (w *World) hear(ctx context.Context, id string, m *made) error {
	share := praises
	if !m.right() {
		share = complains
	}
	if !m.automated || w.draw() >= share {
		return nil
	}
	after := time.Duration((0.5 + 2.5*w.draw()) * float64(time.Hour))
	if err := w.Clock.Sleep(ctx, min(after, w.evening().Sub(w.Clock.Now()))); err != nil {
		return err
	}
	return w.feedback(ctx, id, m.ticket, "agent")
}

func (w *World) feedback(ctx context.Context, id string, t Ticket, source string) error {
	_, err := reviewv1.NewReviewServiceClient(w.desk.conn).SubmitFeedback(ctx, &reviewv1.SubmitFeedbackRequest{
		FeedbackId: source + "-" + t.ID, DecisionId: id, Labels: []string{t.Label}, Source: source,
	})
	if err != nil {
		return fmt.Errorf("feedback on %s: %w", t.ID, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard++
	return nil
}

// setGold makes test items of some inquiries of the night.
func (w *World) setGold(ctx context.Context, ids []string) error {
	lead := reviewv1.NewReviewServiceClient(w.lead)
	for _, id := range ids[:min(goldFromBacklog, len(ids))] {
		_, err := lead.CreateGoldItem(ctx, &reviewv1.CreateGoldItemRequest{
			GoldId: uuid.NewString(), ItemId: id, Answer: &reviewv1.Answer{Labels: []string{w.desk.made[id].ticket.Label}},
		})
		if err != nil {
			return fmt.Errorf("make a test item: %w", err)
		}
	}
	return nil
}

// appeal is what the lead does with a final verdict of which a customer complains: opens the item again for somebody else, and tells what was heard.
func (w *World) appeal(ctx context.Context, v *reviewv1.Verdict) error {
	w.desk.mu.Lock()
	m := w.desk.made[v.GetDecisionId()]
	w.desk.mu.Unlock()
	switch {
	case m == nil || !v.GetFinal() || v.GetGold() || v.GetRound() > 0 || right(v.GetAnswer(), m.ticket.Label):
		return nil
	case m.automated: // the customer knows nothing of an audit
		return nil
	case w.draw() >= appeals:
		return nil
	}
	if err := w.feedback(ctx, v.GetDecisionId(), m.ticket, "customer"); err != nil {
		return err
	}
	_, err := reviewv1.NewReviewServiceClient(w.lead).ReopenItem(ctx, &reviewv1.ReopenItemRequest{
		ItemId: v.GetItemId(), Reviewer: "lead", Reason: "appeal", Note: "the customer says that another team is needed",
	})
	if err != nil {
		return fmt.Errorf("open %s again: %w", v.GetItemId(), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.appealed++
	return nil
}
