package redact_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/redact"
)

var rules = redact.Rules{
	Names:  redact.NewNames([]string{"Anna", "Jean-Luc Picard", "Jürgen", "  ", "O'Neill", "anna maria huber"}),
	Fields: map[string]bool{"customer": true, "income": true},
}

func TestNamesOfTheListAreMasked(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Anna called":                   "[name] called",
		"ANNA, anna and Annabelle":      "[name], [name] and Annabelle",
		"ask Jean-Luc Picard's office":  "ask [name]'s office",
		"ask jean luc picard":           "ask [name]",
		"Jean-Luc alone stays":          "Jean-Luc alone stays",
		"Ju\u0308rgen wrote":            "[name] wrote", // decomposed
		"O'Neill and O’Neill":           "[name] and [name]",
		"Anna Maria Huber, Anna Maria":  "[name], [name] Maria",
		"anna@example.com or Anna":      "[email] or [name]",
		"Jean\nLuc\nPicard stand apart": "Jean\nLuc\nPicard stand apart",
		"nothing here":                  "nothing here",
		"":                              "",
	} {
		if got := rules.Text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestContentOfAMessageIsMaskedAtAnyDepth(t *testing.T) {
	t.Parallel()
	value := func(s string) *commonv1.FieldValue {
		return &commonv1.FieldValue{Value: &commonv1.FieldValue_Text{Text: s}}
	}
	m := &commonv1.DecisionRecord{
		SubjectId: "customer-17",
		Input: &commonv1.RecordedInput{
			Title: "Anna", Text: "mail a@example.com", Locale: "de",
			Fields: map[string]*commonv1.FieldValue{
				"note": value("from Anna"), "customer": value("Somebody"),
				"income": {Value: &commonv1.FieldValue_Number{Number: 1000}}, "age": {Value: &commonv1.FieldValue_Number{Number: 39}},
			},
		},
	}
	rules.Message(m)
	want := &commonv1.DecisionRecord{
		SubjectId: "customer-17",
		Input: &commonv1.RecordedInput{
			Title: "[name]", Text: "mail [email]", Locale: "de",
			Fields: map[string]*commonv1.FieldValue{
				"note": value("from [name]"), "customer": value("[masked]"),
				"income": value("[masked]"), "age": {Value: &commonv1.FieldValue_Number{Number: 39}},
			},
		},
	}
	if !proto.Equal(m, want) {
		t.Errorf("got %v\nwant %v", m, want)
	}
	batch := &moderationv1.BatchModerateTextRequest{Deployment: "anna", Items: []*moderationv1.TextItem{{Text: "hi Anna", AuthorId: "anna"}}}
	rules.Message(batch)
	if got := batch.GetItems()[0]; got.GetText() != "hi [name]" || got.GetAuthorId() != "anna" || batch.GetDeployment() != "anna" {
		t.Errorf("got %v", batch)
	}
}

// TestTheContractSaysWhatFieldsHold looks at every field of every contract whose name says that it holds words or persons: a new one must not be
// forgotten.
func TestTheContractSaysWhatFieldsHold(t *testing.T) {
	t.Parallel()
	telling := []string{"text", "title", "body", "author_id", "subject_id", "customer_id", "secret", "ngram"}
	seen := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "switchyard.") {
			return true
		}
		var look func(ms protoreflect.MessageDescriptors)
		look = func(ms protoreflect.MessageDescriptors) {
			for i := range ms.Len() {
				for j := range ms.Get(i).Fields().Len() {
					f := ms.Get(i).Fields().Get(j)
					if !slices.Contains(telling, string(f.Name())) || f.Kind() != protoreflect.StringKind {
						continue
					}
					seen++
					if redact.ClassOf(f) == commonv1.DataClass_DATA_CLASS_UNSPECIFIED {
						t.Errorf("%s does not say what it holds: add (switchyard.common.v1.data)", f.FullName())
					}
				}
				look(ms.Get(i).Messages())
			}
		}
		look(file.Messages())
		return true
	})
	if seen < 15 {
		t.Errorf("looked at only %d fields", seen)
	}
}

func FuzzNames(f *testing.F) {
	f.Add("Anna and Jean-Luc Picard", "Anna")
	f.Add("\xff\xfe", "\xff")
	f.Fuzz(func(t *testing.T, s, name string) {
		r := redact.Rules{Names: redact.NewNames([]string{name})}
		if got := r.Text(s); len(got) > 8*len(s)+8 {
			t.Errorf("%q grew to %q", s, got)
		}
	})
}
