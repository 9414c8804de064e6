package cloudevent_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/cloudevent"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 890123000, time.UTC)
	want := cloudevent.Event{
		ID: "0190-é %|x", Source: "/switchyard/acme/verdicts", Project: "acme", Kind: "verdicts",
		Attributes: cloudevent.Attributes{
			Type: "switchyard.verdict.given", Time: at, Subject: "a \"b\"\r\nc", Schema: "switchyard.review.v1.Verdict", ContentType: cloudevent.Protobuf,
			Operation: "routing", Deployment: "support", Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		},
	}
	h := cloudevent.Header("switchyard.acme.verdicts", want.ID, want.Attributes)
	for name, vs := range h {
		for _, c := range []byte(vs[0]) {
			if c <= ' ' || c > 0x7e {
				t.Fatalf("header %s holds byte %x", name, c)
			}
		}
	}
	if got := cloudevent.Parse("switchyard.acme.verdicts", want.ID, h, time.Now()); !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if want.Key() != "/switchyard/acme/verdicts|0190-é %|x" {
		t.Error(want.Key())
	}
}

func TestTheRequiredAttributesAreAlwaysThere(t *testing.T) {
	t.Parallel()
	h := cloudevent.Header("switchyard.acme.decisions", "id", cloudevent.Attributes{})
	want := map[string][]string{
		"ce-specversion": {"1.0"}, "ce-id": {"id"}, "ce-source": {"/switchyard/acme/decisions"}, "ce-type": {"switchyard.decision.made"},
	}
	if !reflect.DeepEqual(h, want) {
		t.Fatal(h)
	}
}

func TestMessagesOfEarlierReleasesAreRead(t *testing.T) {
	t.Parallel()
	at := time.Now()
	e := cloudevent.Parse("switchyard.acme.decisions", "id", nil, at)
	if e.Type != "switchyard.decision.made" || e.Schema != "switchyard.common.v1.DecisionRecord" || !e.Time.Equal(at) || e.Project != "acme" {
		t.Fatalf("%+v", e)
	}
}
