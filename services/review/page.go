package review

import (
	"math"
	"strconv"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// position is the row after which a page of a list by time begins.
type position struct {
	time int64
	id   string
}

func (p position) token(list, filter string) string {
	return db.Token(list, filter, strconv.FormatInt(p.time, 10), p.id)
}

// newestFirst returns the position that a token names in a list with the newest first.
func newestFirst(token, list, filter string) (position, error) {
	return parsePosition(token, list, filter, position{math.MaxInt64, ""})
}

// oldestFirst returns the position that a token names in a list with the oldest first.
func oldestFirst(token, list, filter string) (position, error) {
	return parsePosition(token, list, filter, position{math.MinInt64, ""})
}

func parsePosition(token, list, filter string, begin position) (position, error) {
	after, ok, err := db.ParseToken(token, list, filter, 2)
	if err != nil || !ok {
		return begin, err
	}
	time, err := strconv.ParseInt(after[0], 10, 64)
	if err != nil {
		return begin, badToken(err)
	}
	return position{time, after[1]}, nil
}
