package jobs

import (
	"bytes"
	"context"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/db"
)

const (
	// eraseRows is how many bodies one transaction of an erasure reads.
	eraseRows = 200
	// subjectHeader is the header in which an application can say whose data a task carries.
	subjectHeader = "subject-id"
	// erasedReason is why a task is dead whose body was erased.
	erasedReason = "erased"
)

// Erase ends the tasks of a project that carry the data of one person, and takes their bodies and headers out: nobody can do what is not there. What a body
// means only the application knows. A task is the person's when its header "subject-id" says so, or when its body or a header holds the id as a word of its own,
// as a quoted text in JSON or in serialised PHP does. It returns how many tasks there were.
func (s *Tasks) Erase(ctx context.Context, project, subject string) (tasks int64, err error) {
	if subject == "" {
		return 0, nil
	}
	var queues []queueKey
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT name FROM task_queues WHERE project = ? ORDER BY name`, []any{project}, func(scan func(...any) error) error {
			key := queueKey{project: project}
			err := scan(&key.name)
			queues = append(queues, key)
			return err
		})
	})
	for i := 0; i < len(queues) && err == nil; i++ {
		for after, more := int64(0), true; more && err == nil; {
			var n int64
			after, n, more, err = s.eraseSome(ctx, queues[i], after, subject)
			tasks += n
		}
	}
	if err != nil {
		return tasks, fmt.Errorf("erase from tasks: %w", err)
	}
	return tasks, nil
}

// eraseSome looks at some tasks of a queue after a number.
func (s *Tasks) eraseSome(ctx context.Context, key queueKey, after int64, subject string) (last, n int64, more bool, err error) {
	var found []int64
	err = s.db.View(ctx, func(tx *db.Tx) error {
		q, err := readQueue(tx, key)
		if err != nil || q == nil {
			return err
		}
		return tx.Each(`SELECT number, body, headers FROM task_bodies WHERE queue = ? AND number > ? ORDER BY number LIMIT ?`, []any{q.number, after, eraseRows},
			func(scan func(...any) error) error {
				var body, headers []byte
				if err := scan(&last, &body, &headers); err != nil {
					return err
				}
				more = true
				if carries(body, headers, subject) {
					found = append(found, last)
				}
				return nil
			})
	})
	if err != nil || len(found) == 0 {
		return last, 0, more, err
	}
	err = s.writer.Do(ctx, func(b *batch) error {
		n = 0
		q, err := b.queue(key)
		if err != nil || q == nil {
			return err
		}
		for _, number := range found {
			if err := b.blank(q, number, db.Micros(s.now())); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return last, n, more, err
}

// blank ends a task and empties what it carried.
func (b *batch) blank(q *queue, number, now int64) error {
	var id string
	found, err := b.tx.Get(`SELECT id FROM tasks WHERE queue = ? AND number = ?`, []any{q.number, number}, &id)
	if err != nil {
		return err
	}
	if found {
		t, err := readTask(b.tx, q.number, id)
		if err != nil {
			return err
		}
		if t.state != dead {
			if err := b.set(q, t, dead, now+keepDead.Microseconds(), "", erasedReason); err != nil {
				return err
			}
		}
		if _, err := b.tx.Exec(`UPDATE tasks SET digest = ? WHERE queue = ? AND id = ?`, []byte{}, q.number, id); err != nil {
			return err
		}
	}
	_, err = b.tx.Exec(`UPDATE task_bodies SET body = ?, headers = ? WHERE queue = ? AND number = ?`, []byte{}, []byte{}, q.number, number)
	return err
}

// carries says whether a task carries a person's data.
func carries(body, packed []byte, subject string) bool {
	headers, err := unpackHeaders(packed)
	if err == nil && headers[subjectHeader] != "" {
		return headers[subjectHeader] == subject // the application has said whose it is
	}
	for _, value := range headers {
		if holdsWord([]byte(value), subject) {
			return true
		}
	}
	return holdsWord(body, subject)
}

// holdsWord says whether a text holds a word that is not a part of a longer one.
func holdsWord(text []byte, word string) bool {
	for from := 0; ; {
		at := bytes.Index(text[from:], []byte(word))
		if at < 0 {
			return false
		}
		at += from
		before, _ := utf8.DecodeLastRune(text[:at])
		after, _ := utf8.DecodeRune(text[at+len(word):])
		if !inWord(before) && !inWord(after) {
			return true
		}
		from = at + 1
	}
}

// inWord says whether an id goes on with a character. Dots and hyphens join parts of ids.
func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' || r == '.' || r == '@')
}
