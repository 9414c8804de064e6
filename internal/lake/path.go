package lake

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// partition is one folder of data files.
type partition struct{ project, table, date string }

func (p partition) dir() string {
	return "project=" + url.PathEscape(p.project) + "/kind=" + p.table + "/date=" + p.date + "/"
}

func dateOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// fromPath fills in what the path says.
func (f *File) fromPath() error {
	parts := strings.Split(f.Path, "/")
	bad := fmt.Errorf("%q is no path of a data file", f.Path)
	if len(parts) != 4 || !strings.HasSuffix(f.Path, ".parquet") {
		return bad
	}
	project, ok1 := strings.CutPrefix(parts[0], "project=")
	table, ok2 := strings.CutPrefix(parts[1], "kind=")
	date, ok3 := strings.CutPrefix(parts[2], "date=")
	project, err := url.PathUnescape(project)
	if !ok1 || !ok2 || !ok3 || err != nil || project == "" || tables[table] == nil {
		return bad
	}
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return bad
	}
	f.Project, f.Table, f.Date = project, table, date
	return nil
}

func (f *File) partition() partition { return partition{f.Project, f.Table, f.Date} }
