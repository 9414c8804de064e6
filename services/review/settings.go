package review

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

const (
	defaultDoubling = 4 * time.Hour
	defaultLease    = 5 * time.Minute
	defaultUndo     = 30 * time.Second
	defaultNotSure  = 2
	never           = int64(1) << 62 // the due time, in microseconds, of what has none
)

// filled returns the settings with the defaults of what is absent.
func filled(s *reviewv1.QueueSettings) *reviewv1.QueueSettings {
	out := &reviewv1.QueueSettings{}
	if s != nil {
		out = proto.CloneOf(s)
	}
	for weight, value := range map[**float64]float64{&out.HarmWeight: 1, &out.UncertaintyWeight: 1, &out.PriorityWeight: 3} {
		if *weight == nil {
			*weight = new(value)
		}
	}
	for length, value := range map[**durationpb.Duration]time.Duration{
		&out.AgeDoubling: defaultDoubling, &out.Lease: defaultLease, &out.UndoWindow: defaultUndo,
	} {
		if *length == nil {
			*length = durationpb.New(value)
		}
	}
	if out.GetNotSureLimit() == 0 {
		out.NotSureLimit = defaultNotSure
	}
	return out
}

// dueAt returns when an item that waits since then should be answered, in microseconds.
func dueAt(s *reviewv1.QueueSettings, since int64) int64 {
	if after := s.GetDueAfter().AsDuration(); after > 0 {
		return since + after.Microseconds()
	}
	return never
}

// skillsFor returns what a reviewer must be able to do to get an item, sorted.
func skillsFor(s *reviewv1.QueueSettings, label, locale string) []string {
	skills := slices.Clone(s.GetSkills())
	if skill := s.GetLabelSkills()[label]; skill != "" {
		skills = append(skills, skill)
	}
	if s.GetLocaleSkills() && locale != "" {
		language, _, _ := strings.Cut(locale, "-")
		skills = append(skills, "lang:"+strings.ToLower(language))
	}
	slices.Sort(skills)
	return slices.Compact(skills)
}

func decodeSettings(b []byte) (*reviewv1.QueueSettings, error) {
	s := &reviewv1.QueueSettings{}
	if err := proto.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("decode stored settings: %w", err)
	}
	return filled(s), nil
}
