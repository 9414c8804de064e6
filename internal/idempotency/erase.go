package idempotency

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// markSize is how many bytes of a hash stand for a person. Two persons of a project that share a mark cost one of them the answers of two days, nothing else.
const markSize = 8

func markOf(project, subject string) []byte {
	sum := sha256.Sum256([]byte(project + "\x00" + subject))
	return sum[:markSize]
}

func marksOf(project string, subjects []string) []byte {
	marks := []byte{}
	for _, s := range subjects {
		marks = append(marks, markOf(project, s)...)
	}
	return marks
}

// Erase forgets the answers of calls of a project that carried the data of one person, with their keys: who repeats such a call sends the data anew, and is answered
// anew. It returns how many there were.
func (s *Store) Erase(ctx context.Context, project, subject string) (answers int64, err error) {
	mark := string(markOf(project, subject))
	type name struct{ caller, sent string }
	var found []name
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT caller, sent, subjects FROM idempotency_keys WHERE project = ? AND subjects IS NOT NULL`, []any{project},
			func(scan func(...any) error) error {
				var n name
				var marks []byte
				if err := scan(&n.caller, &n.sent, &marks); err != nil {
					return err
				}
				for ; len(marks) >= markSize; marks = marks[markSize:] {
					if string(marks[:markSize]) == mark {
						found = append(found, n)
						break
					}
				}
				return nil
			})
	})
	if err == nil && len(found) > 0 {
		err = s.db.Tx(ctx, func(tx *db.Tx) error {
			for _, n := range found {
				if _, err := tx.Exec(`DELETE FROM idempotency_keys WHERE project = ? AND caller = ? AND sent = ?`, project, n.caller, n.sent); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return 0, fmt.Errorf("erase kept answers: %w", err)
	}
	return int64(len(found)), nil
}
