package db

import (
	"encoding/base64"
	"encoding/json"
	"hash/crc32"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Limits of a page of a list, as the contract's PageRequest promises them.
const (
	DefaultPageSize = 50
	MaxPageSize     = 500
)

// PageSize returns the number of rows to return for the size that a caller sent.
func PageSize(sent int32) int {
	switch {
	case sent <= 0:
		return DefaultPageSize
	case sent > MaxPageSize:
		return MaxPageSize
	}
	return int(sent)
}

// position is the content of a page token: the row after which the next page begins. List and Filter bind it to one list.
type position struct {
	List   string   `json:"l"`
	Filter string   `json:"f,omitempty"`
	After  []string `json:"a"`
	Sum    uint32   `json:"s"`
}

func (p position) sum() uint32 {
	p.Sum = 0
	b, _ := json.Marshal(p) // strings only: cannot fail
	return crc32.ChecksumIEEE(b)
}

// Token returns the opaque page token for the page after the row whose sort columns are given. list names the list and filter
// what it was restricted to. A token names a position, not a permission: every query restricts to the caller's project by itself.
func Token(list, filter string, after ...string) string {
	p := position{List: list, Filter: filter, After: after}
	p.Sum = p.sum()
	b, _ := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseToken returns the sort columns of a token, and false for the empty one. It fails with INVALID_ARGUMENT when the token is damaged, or
// belongs to another list or filter, or does not hold the number of columns.
func ParseToken(token, list, filter string, columns int) ([]string, bool, error) {
	if token == "" {
		return nil, false, nil
	}
	var p position
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || p.Sum != p.sum() || p.List != list || p.Filter != filter || len(p.After) != columns {
		return nil, false, fault.InvalidField("page.token", "is not a next_token of this list with these filters").Cause(err)
	}
	return p.After, true, nil
}
