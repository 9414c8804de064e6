package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
)

// decideFlags are what the three operation commands share.
type decideFlags struct {
	client     clientFlags
	deployment string
	file       string
	json       bool
}

func (f *decideFlags) register(c *cobra.Command, deployment string) {
	f.client.register(c)
	c.Flags().StringVarP(&f.deployment, "deployment", "d", deployment, "name of the deployment that answers")
	c.Flags().StringVarP(&f.file, "file", "f", "", "read the text from this file, - for standard input")
	c.Flags().BoolVar(&f.json, "json", false, "print the whole answer as JSON")
}

func newModerate() *cobra.Command {
	var f decideFlags
	var title, locale string
	c := &cobra.Command{
		Use:   "moderate [text]",
		Short: "Decide whether a text may stand",
		Example: `  switchyard moderate "what a great article"
  switchyard moderate --deployment reviews --file review.txt --json`,
		RunE: func(c *cobra.Command, args []string) error {
			text, err := readText(c, args, f.file)
			if err != nil {
				return err
			}
			conn, done, err := f.client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			r, err := moderationv1.NewModerationServiceClient(conn).ModerateText(c.Context(),
				&moderationv1.ModerateTextRequest{Deployment: f.deployment, Text: text, Title: title, Locale: locale})
			if err != nil {
				return err
			}
			return f.print(c, r, moderationRows(r, text, title), labelRows(r.GetDecision(), 5))
		},
	}
	f.register(c, "comments")
	c.Flags().StringVar(&title, "title", "", "title that belongs to the text")
	c.Flags().StringVar(&locale, "locale", "", "language of the text, such as de-AT")
	return c
}

func moderationRows(r *moderationv1.ModerateTextResponse, text, title string) [][]string {
	rows := append([][]string{{"action", short(r.GetAction().String(), "ACTION_")}}, decisionRows(r.GetDecision())...)
	for _, m := range r.GetRuleMatches() {
		rows = append(rows, []string{"rule", fmt.Sprintf("%s %s %q", short(m.GetKind().String(), "RULE_KIND_"), m.GetCategory(), cut(m.GetSpan(), text, title))})
	}
	var grams []string
	for _, e := range r.GetEvidence() {
		grams = append(grams, fmt.Sprintf("%q %+.2f", e.GetNgram(), e.GetWeight()))
	}
	if len(grams) > 0 {
		rows = append(rows, []string{"evidence", strings.Join(grams, ", ")})
	}
	return rows
}

// cut returns the part of the text that a span marks; an impossible span gives nothing.
func cut(s *moderationv1.Span, text, title string) string {
	if s.GetInTitle() {
		text = title
	}
	start, end := int(s.GetStart()), int(s.GetEnd())
	if start < 0 || end > len(text) || start > end {
		return ""
	}
	return text[start:end]
}

func newRoute() *cobra.Command {
	var f decideFlags
	var subject, channel, locale string
	c := &cobra.Command{
		Use:   "route [text]",
		Short: "Find the queue for an inquiry",
		Example: `  switchyard route --subject VPN "I cannot log in since this morning"
  switchyard route --deployment support --file mail.txt --json`,
		RunE: func(c *cobra.Command, args []string) error {
			body, err := readText(c, args, f.file)
			if err != nil {
				return err
			}
			conn, done, err := f.client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			r, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(c.Context(),
				&routingv1.RouteInquiryRequest{Deployment: f.deployment, Subject: subject, Body: body, Channel: channel, Locale: locale})
			if err != nil {
				return err
			}
			queue := r.GetQueue()
			if r.GetOutOfScope() {
				queue = "none (out of scope)"
			}
			rows := append([][]string{
				{"queue", queue},
				{"priority", short(r.GetPriority().String(), "PRIORITY_")},
				{"language", r.GetLanguage().GetCode()},
			}, decisionRows(r.GetDecision())...)
			return f.print(c, r, rows, labelRows(r.GetDecision(), 3))
		},
	}
	f.register(c, "support")
	c.Flags().StringVar(&subject, "subject", "", "subject line of the inquiry")
	c.Flags().StringVar(&channel, "channel", "", "where it came from, such as email")
	c.Flags().StringVar(&locale, "locale", "", "language of the inquiry, such as de-AT; detected when empty")
	return c
}

func newClassify() *cobra.Command {
	var f decideFlags
	var record string
	c := &cobra.Command{
		Use:   "classify [text]",
		Short: "Label a text or a record",
		Example: `  switchyard classify --deployment topics "how do I freeze my card"
  switchyard classify --deployment income --record '{"age": 39, "job": "clerk"}'`,
		RunE: func(c *cobra.Command, args []string) error {
			conn, done, err := f.client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			client := classificationv1.NewClassificationServiceClient(conn)
			if record != "" {
				return f.classifyRecord(c, client, args, record)
			}
			text, err := readText(c, args, f.file)
			if err != nil {
				return err
			}
			r, err := client.ClassifyText(c.Context(), &classificationv1.ClassifyTextRequest{Deployment: f.deployment, Text: text})
			if err != nil {
				return err
			}
			return f.print(c, r, chosenRows(r), labelRows(r.GetDecision(), 5))
		},
	}
	f.register(c, "topics")
	c.Flags().StringVar(&record, "record", "", "a record as a JSON object of numbers, strings and booleans, instead of a text")
	return c
}

func (f *decideFlags) classifyRecord(c *cobra.Command, client classificationv1.ClassificationServiceClient, args []string, record string) error {
	if len(args) > 0 || f.file != "" {
		return usagef("give a text or --record, not both")
	}
	fields, err := parseRecord(record)
	if err != nil {
		return usagef("--record: %w", err)
	}
	r, err := client.ClassifyRecord(c.Context(), &classificationv1.ClassifyRecordRequest{Deployment: f.deployment, Record: fields})
	if err != nil {
		return err
	}
	return f.print(c, r, chosenRows(r), labelRows(r.GetDecision(), 5))
}

func (f *decideFlags) print(c *cobra.Command, m proto.Message, rows, labels [][]string) error {
	if f.json {
		return writeJSON(c.OutOrStdout(), m)
	}
	if err := table(c.OutOrStdout(), nil, rows); err != nil || len(labels) == 0 {
		return err
	}
	fmt.Fprintln(c.OutOrStdout())
	return table(c.OutOrStdout(), nil, labels)
}
