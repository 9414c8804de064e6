package routing

import (
	"strings"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Limits of the contract. For the items of batches and streams they are checked here, because one bad item must not fail the others.
const (
	maxSubject    = 1000
	maxBody       = 100000
	maxChannel    = 32
	maxLocale     = 35
	maxID         = 128
	maxAttributes = 50
	maxAttribute  = 64
)

// inquiry is an inquiry however it was sent.
type inquiry struct {
	subject, body, channel, locale, customerID, inquiryID string
	attributes                                            map[string]*commonv1.FieldValue
}

func fromRequest(r *routingv1.RouteInquiryRequest) inquiry {
	return inquiry{
		subject: r.GetSubject(), body: r.GetBody(), channel: r.GetChannel(), locale: r.GetLocale(),
		customerID: r.GetCustomerId(), inquiryID: r.GetInquiryId(), attributes: r.GetAttributes(),
	}
}

func fromItem(r *routingv1.InquiryItem) inquiry {
	return inquiry{
		subject: r.GetSubject(), body: r.GetBody(), channel: r.GetChannel(), locale: r.GetLocale(),
		customerID: r.GetCustomerId(), inquiryID: r.GetInquiryId(), attributes: r.GetAttributes(),
	}
}

// check refuses what the contract does not allow.
func (q *inquiry) check() error {
	if err := decision.CheckTexts(
		decision.Text{Field: "subject", Value: q.subject, Max: maxSubject}, decision.Text{Field: "body", Value: q.body, Max: maxBody},
		decision.Text{Field: "channel", Value: q.channel, Max: maxChannel}, decision.Text{Field: "locale", Value: q.locale, Max: maxLocale},
		decision.Text{Field: "customer_id", Value: q.customerID, Max: maxID}, decision.Text{Field: "inquiry_id", Value: q.inquiryID, Max: maxID},
	); err != nil {
		return err
	}
	if strings.TrimSpace(q.subject) == "" && strings.TrimSpace(q.body) == "" {
		return fault.InvalidField("body", "must hold text when the subject holds none")
	}
	if len(q.attributes) > 0 {
		return decision.CheckFields("attributes", q.attributes, maxAttributes, maxAttribute)
	}
	return nil
}

// text is what the model reads. Texts in training data have no empty first line, so an absent subject leaves none.
func (q *inquiry) text() string {
	switch {
	case q.subject == "":
		return q.body
	case q.body == "":
		return q.subject
	}
	return q.subject + "\n" + q.body
}

func (q *inquiry) input() decision.Input {
	return decision.Input{Title: q.subject, Text: q.body, Locale: q.locale, Channel: q.channel, Fields: q.attributes}
}

func (q *inquiry) size() int { return len(q.subject) + len(q.body) + decision.FieldsSize(q.attributes) }
