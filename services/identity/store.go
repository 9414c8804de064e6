package identity

import (
	"fmt"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

var steps = []string{
	`CREATE TABLE projects (
		name    TEXT   NOT NULL PRIMARY KEY,
		created BIGINT NOT NULL
	);
	CREATE TABLE api_keys (
		id      TEXT   NOT NULL PRIMARY KEY,
		project TEXT   NOT NULL REFERENCES projects (name),
		name    TEXT   NOT NULL,
		scopes  TEXT   NOT NULL,
		hash    BLOB   NOT NULL,
		created BIGINT NOT NULL,
		expires BIGINT NOT NULL,
		revoked BIGINT NOT NULL,
		used    BIGINT NOT NULL
	);
	CREATE INDEX api_keys_newest ON api_keys (project, created DESC, id DESC)`,
}

// topic is how the keys of a project are called among the changes that other processes hear of.
const topic = "identity.keys"

type store struct{ db *db.DB }

func (*store) addProject(tx *db.Tx, name string, created time.Time) error {
	_, err := tx.Exec(`INSERT INTO projects (name, created) VALUES (?, ?)`, name, db.Micros(created))
	return err
}

func (*store) countProjects(tx *db.Tx) (n int, err error) {
	_, err = tx.Get(`SELECT count(*) FROM projects`, nil, &n)
	return n, err
}

// project is a row of projects.
type project struct {
	name    string
	created time.Time
}

func (*store) projects(tx *db.Tx, after string, size int) (out []project, more bool, err error) {
	err = tx.Each(`SELECT name, created FROM projects WHERE name > ? ORDER BY name LIMIT ?`, []any{after, size + 1},
		func(scan func(...any) error) error {
			var p project
			var created int64
			if err := scan(&p.name, &created); err != nil {
				return err
			}
			p.created = db.Time(created)
			out = append(out, p)
			return nil
		})
	if len(out) > size {
		out, more = out[:size], true
	}
	return out, more, err
}

func (*store) addKey(tx *db.Tx, k *key) error {
	_, err := tx.Exec(`INSERT INTO api_keys (id, project, name, scopes, hash, created, expires, revoked, used)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		k.id, k.project, k.name, strings.Join(k.scopes, " "), k.hash[:],
		db.Micros(k.created), db.Micros(k.expire), db.Micros(k.revoked), db.Micros(k.used))
	return err
}

const keyColumns = `id, project, name, scopes, hash, created, expires, revoked, used`

func scanKey(scan func(...any) error) (*key, error) {
	var k key
	var scopes string
	var hash []byte
	var created, expire, revoked, used int64
	if err := scan(&k.id, &k.project, &k.name, &scopes, &hash, &created, &expire, &revoked, &used); err != nil {
		return nil, err
	}
	if len(hash) != len(k.hash) {
		return nil, fmt.Errorf("stored key %s has a hash of %d bytes", k.id, len(hash))
	}
	k.scopes, k.hash = strings.Fields(scopes), [32]byte(hash)
	k.created, k.expire, k.revoked, k.used = db.Time(created), db.Time(expire), db.Time(revoked), db.Time(used)
	return &k, nil
}

// key reads a key of a project; nil when the project has none of that id.
func (*store) key(tx *db.Tx, project, id string) (k *key, err error) {
	err = tx.Each(`SELECT `+keyColumns+` FROM api_keys WHERE project = ? AND id = ?`, []any{project, id},
		func(scan func(...any) error) (err error) {
			k, err = scanKey(scan)
			return err
		})
	return k, err
}

// keys reads the keys of a project after a position, newest first. The position of the first page is the largest time.
func (*store) keys(tx *db.Tx, project string, created int64, id string, size int) (out []*key, more bool, err error) {
	err = tx.Each(`SELECT `+keyColumns+` FROM api_keys WHERE project = ? AND (created < ? OR (created = ? AND id < ?))
		ORDER BY created DESC, id DESC LIMIT ?`, []any{project, created, created, id, size + 1},
		func(scan func(...any) error) error {
			k, err := scanKey(scan)
			out = append(out, k)
			return err
		})
	if len(out) > size {
		out, more = out[:size], true
	}
	return out, more, err
}

// eachKey calls fn for every key of a project, or of all projects when it is empty.
func (*store) eachKey(tx *db.Tx, project string, fn func(*key) error) error {
	return tx.Each(`SELECT `+keyColumns+` FROM api_keys WHERE ? = '' OR project = ?`, []any{project, project}, func(scan func(...any) error) error {
		k, err := scanKey(scan)
		if err != nil {
			return err
		}
		return fn(k)
	})
}

// countValid counts the keys of a project that may call.
func (*store) countValid(tx *db.Tx, project string, now time.Time) (n int, err error) {
	_, err = tx.Get(`SELECT count(*) FROM api_keys WHERE project = ? AND revoked = 0 AND (expires = 0 OR expires > ?)`,
		[]any{project, db.Micros(now)}, &n)
	return n, err
}

// forget deletes the oldest keys of a project that may no longer call, until only keep of them are left, and returns their ids.
func (*store) forget(tx *db.Tx, project string, now time.Time, keep int) (ids []string, err error) {
	err = tx.Each(`SELECT id FROM api_keys WHERE project = ? AND NOT (revoked = 0 AND (expires = 0 OR expires > ?))
		ORDER BY created DESC, id DESC LIMIT 1000 OFFSET ?`, []any{project, db.Micros(now), keep},
		func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, err := tx.Exec(`DELETE FROM api_keys WHERE id = ?`, id); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (*store) setExpire(tx *db.Tx, id string, t time.Time) error {
	_, err := tx.Exec(`UPDATE api_keys SET expires = ? WHERE id = ?`, db.Micros(t), id)
	return err
}

func (*store) setRevoked(tx *db.Tx, id string, t time.Time) error {
	_, err := tx.Exec(`UPDATE api_keys SET revoked = ? WHERE id = ?`, db.Micros(t), id)
	return err
}

func (*store) setUsed(tx *db.Tx, id string, minute int64) error {
	micros := db.Micros(time.Unix(60*minute, 0))
	_, err := tx.Exec(`UPDATE api_keys SET used = ? WHERE id = ? AND used < ?`, micros, id, micros)
	return err
}
