package jobs

import (
	"regexp"
	"slices"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/decision"
)

func TestIDsOfAJobSortAsItsFrames(t *testing.T) {
	t.Parallel()
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	j := &job{uuid: "01a216c8-ffff-7fff-8a99-75d23ced0372", ordered: true}
	var last string
	for frame := int64(0); frame < 1<<30; frame = 3*frame + 1500 {
		ids := decision.SeededIDs(j.seed(frame, ""), 500)
		slices.Sort(ids)
		if !uuid.MatchString(ids[0]) || ids[0] <= last {
			t.Fatalf("frame %d has %s after %s", frame, ids[0], last)
		}
		last = ids[len(ids)-1]
		if again := j.seed(frame, ""); again != j.seed(frame, "") || again == j.seed(frame, "records") || len(again) != 36 {
			t.Fatalf("seed of frame %d is %s", frame, again)
		}
	}
	old := &job{uuid: j.uuid}
	if a, b := old.seed(1500, ""), old.seed(1<<20, ""); a[:19] != old.uuid[:19] || b[:19] != old.uuid[:19] {
		t.Errorf("frames of a job of an earlier release have the seeds %s and %s", a, b)
	}
}
