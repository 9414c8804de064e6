package review

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
)

// LabelSet is what a deployment can answer.
type LabelSet struct {
	Labels     []string // those of the champion, its label for what is out of scope included
	Harmless   []string // moderation: labels that mean that nothing is wrong
	MultiLabel bool
}

// Labels knows what deployments can answer. It returns nil for a deployment that it does not know.
type Labels interface {
	LabelsOf(project string, op commonv1.Operation, deployment string) *LabelSet
}

// LabelTable follows the registry of models and remembers what each deployment can answer.
type LabelTable struct {
	mu   sync.RWMutex
	sets map[queueKey]*LabelSet
}

var _ Labels = (*LabelTable)(nil)

// NewLabelTable returns a table that knows nothing yet.
func NewLabelTable() *LabelTable { return &LabelTable{sets: map[queueKey]*LabelSet{}} }

// LabelsOf returns what a deployment can answer; nil when it is not known.
func (t *LabelTable) LabelsOf(project string, op commonv1.Operation, deployment string) *LabelSet {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.sets[queueKey{project, op, deployment}]
}

// Set remembers what a deployment can answer.
func (t *LabelTable) Set(project string, op commonv1.Operation, deployment string, s *LabelSet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sets[queueKey{project, op, deployment}] = s
}

// Follow follows the deployments of all projects until ctx ends, and opens the watch again when it breaks. Until it is there, and while it is away,
// what was known stays known.
func (t *LabelTable) Follow(ctx context.Context, models modelsv1.ModelServiceClient) {
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 10*time.Second) {
		begin := time.Now()
		stream, err := models.WatchDeployments(ctx, &modelsv1.WatchDeploymentsRequest{AllProjects: true})
		for err == nil {
			var m *modelsv1.WatchDeploymentsResponse
			if m, err = stream.Recv(); err == nil {
				t.put(m.GetDeployment())
			}
		}
		if time.Since(begin) > 10*time.Second {
			wait = 100 * time.Millisecond // it worked for a while: not the same trouble
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (t *LabelTable) put(d *modelsv1.Deployment) {
	v := d.GetChampion()
	if v == nil {
		return
	}
	labels := slices.Clone(v.GetLabels())
	if l := v.GetOutOfScopeLabel(); l != "" && !slices.Contains(labels, l) {
		labels = append(labels, l)
	}
	t.Set(d.GetProject(), d.GetOperation(), d.GetName(), &LabelSet{Labels: labels, Harmless: v.GetHarmlessLabels(), MultiLabel: v.GetMultiLabel()})
}

// nearest returns the label that was most probably meant: the one with the least edits, when they are at most a third of its length; empty for none.
func nearest(label string, known []string) string {
	best, least := "", 1<<30
	given := strings.ToLower(label)
	for _, k := range known {
		n := edits(given, strings.ToLower(k))
		if n < least && 3*n <= max(utf8.RuneCountInString(given), utf8.RuneCountInString(k)) {
			best, least = k, n
		}
	}
	return best
}

// edits is the Levenshtein distance in characters.
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j, q := range y {
			cost := diagonal
			if r != q {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(y)]
}
