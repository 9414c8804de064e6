package contract

import (
	"fmt"
	"sort"
	"strings"
)

// volatile are the members that differ between two calls by nature; they are left out when answers of two doors are compared.
var volatile = map[string]bool{
	"decisionId": true, "time": true, "latency": true, "cost": true, "audit": true, "certificateId": true,
	"caller": true, "requestId": true, "traceparent": true,
	"createTime": true, "updateTime": true, "championTime": true, "trialTime": true, "lastUsedTime": true, "expireTime": true, "publishTime": true, "endTime": true, "ruleId": true, "keyId": true, "revision": true,
	"itemId": true, "leaseId": true, "leaseTime": true, "decideTime": true, "submitTime": true, "closeTime": true, "oldestOpenTime": true, "counts": true, "subjectId": true,
	"history": true, "dueTime": true, "webhookId": true, "selectionId": true, "chosen": true, "candidates": true, "least": true,
	"recordTime": true, "stateSha256": true, "hash": true, "previousHash": true, "certificateIds": true, "actor": true, "startTime": true,
	"traffic": true, "auditsWaiting": true, // what other cases decide is counted meanwhile
}

// Subset returns where got lacks what want asks for: objects by the members of want, lists and scalars exactly.
func Subset(path string, want, got any) []string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %v, want an object", path, got)}
		}
		var problems []string
		for _, name := range sortedKeys(want) {
			problems = append(problems, Subset(path+"."+name, want[name], object[name])...)
		}
		return problems
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return []string{fmt.Sprintf("%s is %v, want a list of %d", path, got, len(want))}
		}
		var problems []string
		for i := range want {
			problems = append(problems, Subset(fmt.Sprintf("%s[%d]", path, i), want[i], list[i])...)
		}
		return problems
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		return []string{fmt.Sprintf("%s is %v, want %v", path, got, want)}
	}
	return nil
}

// Stable returns the value without its volatile members, for comparing doors.
func Stable(value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, v := range value {
			if !volatile[name] {
				out[name] = Stable(v)
			}
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, v := range value {
			out[i] = Stable(v)
		}
		return out
	}
	return value
}

// Check returns where the answer is not what the case wants.
func Check(c *Case, a *Answer) []string {
	if c.Error != nil {
		return checkError(c.Error, a)
	}
	if a.Error != nil {
		return []string{fmt.Sprintf("failed with %s %s %q", a.Error.Code, a.Error.Reason, a.Error.Message)}
	}
	if c.method.IsStreamingServer() {
		return Subset("stream", c.Want, a.Messages)
	}
	if len(a.Messages) != 1 {
		return []string{fmt.Sprintf("%d messages, want 1", len(a.Messages))}
	}
	return Subset("response", c.Want, a.Messages[0])
}

func checkError(want *ErrorAnswer, a *Answer) []string {
	if a.Error == nil {
		return []string{fmt.Sprintf("answered %v, want error %s", a.Messages, want.Reason)}
	}
	var problems []string
	check := func(what, want, got string) {
		if want != "" && want != got {
			problems = append(problems, fmt.Sprintf("error %s is %q, want %q (%s)", what, got, want, a.Error.Message))
		}
	}
	check("code", want.Code, a.Error.Code)
	check("reason", want.Reason, a.Error.Reason)
	check("field", want.Field, a.Error.Field)
	if want.HTTP != 0 && a.Error.HTTP != 0 && want.HTTP != a.Error.HTTP {
		problems = append(problems, fmt.Sprintf("HTTP status is %d, want %d", a.Error.HTTP, want.HTTP))
	}
	if !strings.Contains(a.Error.Message, want.Message) {
		problems = append(problems, fmt.Sprintf("message %q lacks %q", a.Error.Message, want.Message))
	}
	return problems
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
