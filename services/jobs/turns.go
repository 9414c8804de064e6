package jobs

import "sync"

// turns is whose job runs next: projects take turns, and within a project its jobs.
type turns struct {
	mu       sync.Mutex
	projects []string
	jobs     map[string][]*job
	queued   map[*job]bool
}

// add puts a job at the end, once.
func (t *turns) add(j *job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queued[j] {
		return
	}
	if t.jobs == nil {
		t.jobs, t.queued = map[string][]*job{}, map[*job]bool{}
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
	j := t.jobs[of][0]
	delete(t.queued, j)
	if t.jobs[of] = t.jobs[of][1:]; len(t.jobs[of]) > 0 {
		t.projects = append(t.projects, of)
	} else {
		delete(t.jobs, of)
	}
	return j
}

// waiting says whether a job waits for its turn.
func (t *turns) waiting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.projects) > 0
}
