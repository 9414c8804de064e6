package jobs

import (
	"slices"
	"sync"
)

// turns is whose job runs next: projects take turns, and within a project its jobs, as many as may run.
type turns struct {
	most     func(project string) int // jobs that take turns; nil for all
	mu       sync.Mutex
	projects []string
	jobs     map[string][]*job
	queued   map[*job]bool
	running  map[string]map[*job]bool // those that take turns
}

// add puts a job at the end, once.
func (t *turns) add(j *job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queued[j] {
		return
	}
	if t.jobs == nil {
		t.jobs, t.queued, t.running = map[string][]*job{}, map[*job]bool{}, map[string]map[*job]bool{}
	}
	t.queued[j] = true
	if len(t.jobs[j.project]) == 0 {
		t.projects = append(t.projects, j.project)
	}
	t.jobs[j.project] = append(t.jobs[j.project], j)
}

// next takes the job whose turn it is; nil when none waits.
func (t *turns) next() *job {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.projects) == 0 {
		return nil
	}
	of := t.projects[0]
	t.projects = t.projects[1:]
	i := t.first(of)
	j := t.jobs[of][i]
	delete(t.queued, j)
	if t.jobs[of] = slices.Delete(t.jobs[of], i, i+1); len(t.jobs[of]) > 0 {
		t.projects = append(t.projects, of)
	} else {
		delete(t.jobs, of)
	}
	return j
}

// first returns which job of a project is next, and notes that it takes turns. The caller holds mu.
func (t *turns) first(project string) int {
	running := t.running[project]
	if running == nil {
		running = map[*job]bool{}
		t.running[project] = running
	}
	i := 0
	if t.most != nil && len(running) >= t.most(project) {
		i = max(0, slices.IndexFunc(t.jobs[project], func(j *job) bool { return running[j] }))
	}
	running[t.jobs[project][i]] = true
	return i
}

// leave notes that a job takes no more turns: it ended or is paused.
func (t *turns) leave(j *job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if delete(t.running[j.project], j); len(t.running[j.project]) == 0 {
		delete(t.running, j.project)
	}
}

// waiting says whether a job waits for its turn.
func (t *turns) waiting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.projects) > 0
}
