package training

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/adhocore/gronx"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// cronField is what a field of a cron expression is made of. The library takes more, such as seconds, years and tags, whose meaning differs between crons.
var cronField = regexp.MustCompile(`^[0-9A-Za-z*/,-]{1,60}$`)

// nextTime returns when an expression of five fields is due next after a time, in UTC.
func nextTime(expression string, after time.Time) (time.Time, error) {
	fields := strings.Fields(expression)
	if len(fields) != 5 {
		return time.Time{}, fault.InvalidField("schedule.cron", "has %d fields, must have 5: minute, hour, day of the month, month, day of the week", len(fields))
	}
	for i, f := range fields {
		if !cronField.MatchString(f) {
			return time.Time{}, fault.InvalidField("schedule.cron", "field %d, %q, must be made of digits, names, *, /, comma and -", i+1, f)
		}
	}
	clean := strings.Join(fields, " ")
	if !gronx.IsValid(clean) {
		return time.Time{}, fault.InvalidField("schedule.cron", "%q says no time", clean)
	}
	next, err := gronx.NextTickAfter(clean, after.UTC(), false)
	if err != nil {
		return time.Time{}, fault.InvalidField("schedule.cron", "%q is never due", clean).Cause(fmt.Errorf("next of %q: %w", clean, err))
	}
	return next, nil
}
