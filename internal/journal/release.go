package journal

import (
	"errors"
	"fmt"
)

// Release says that all entries up to seq were handed on. Segments that hold only such entries are deleted, apart from Config.RetainBytes of
// them. After a crash the last releases may be forgotten: the same entries are then handed on again.
func (j *Journal) Release(seq uint64) error {
	j.relMu.Lock()
	defer j.relMu.Unlock()
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	if seq > j.durable {
		durable := j.durable
		j.mu.Unlock()
		return fmt.Errorf("release %d: %w: the last durable entry is %d", seq, ErrInvalid, durable)
	}
	if seq <= j.released {
		j.mu.Unlock()
		return nil
	}
	j.released = seq
	j.mu.Unlock()
	if err := j.pos.update(func(p *positionState) { p.released = seq }); err != nil {
		return fmt.Errorf("release %d: %w", seq, err)
	}
	return j.trim(j.cfg.RetainBytes)
}

// reclaim gives up retained segments when the quota needs their room.
func (j *Journal) reclaim(need int64) {
	j.mu.Lock()
	keep := j.reclaimable - max(0, j.used+need+segmentHeader-j.cfg.QuotaBytes)
	short := j.reclaimable > 0 && keep < j.reclaimable
	j.mu.Unlock()
	if !short {
		return
	}
	j.relMu.Lock()
	defer j.relMu.Unlock()
	if err := j.trim(max(0, keep)); err != nil {
		j.log.Error("released segments not deleted", "journal", j.dir, "error", err)
	}
}

// trim deletes the oldest released segments until at most keep bytes of them are left. The caller holds relMu.
func (j *Journal) trim(keep int64) error {
	var gone []*segment
	j.mu.Lock()
	var done int64 // bytes of segments that are released as a whole
	n := 0
	for n+1 < len(j.segments) && j.segments[n+1].base <= j.released+1 {
		done += j.segments[n].size
		n++
	}
	for len(gone) < n && done > keep {
		s := j.segments[len(gone)]
		gone = append(gone, s)
		done -= s.size
	}
	j.reclaimable = done
	j.mu.Unlock()
	if len(gone) == 0 {
		return nil
	}
	// Open takes entries that are missing and not released for damage, so the release has to be durable first.
	if err := j.pos.sync(); err != nil {
		return fmt.Errorf("sync %s: %w", positionName, err)
	}
	for _, s := range gone {
		if err := j.fs.Remove(j.path(s.name)); err != nil {
			return fmt.Errorf("delete segment %s: %w", s.name, err)
		}
		j.mu.Lock()
		j.segments = j.segments[1:]
		j.used -= s.size
		j.mu.Unlock()
	}
	if err := j.fs.SyncDir(j.dir); err != nil {
		return errors.Join(fmt.Errorf("sync directory %s", j.dir), err)
	}
	return nil
}
