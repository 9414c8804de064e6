package db

import "testing"

func TestTypesAreTranslatedAndNamesAreNot(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]string{
		`CREATE TABLE t (data BLOB NOT NULL, blob TEXT)`: `CREATE TABLE t (data BYTEA NOT NULL, blob TEXT COLLATE "C")`,
		`CREATE INDEX t_blob ON t (blob)`:                `CREATE INDEX t_blob ON t (blob)`,
		`SELECT 'BLOB', "BLOB"`:                          `SELECT 'BLOB', "BLOB"`,
	} {
		if got := postgresTypes(step); got != want {
			t.Errorf("%s\nis %s\nwant %s", step, got, want)
		}
	}
}
