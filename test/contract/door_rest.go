package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// REST calls the gateway with JSON.
type REST struct {
	Base   string // such as "http://127.0.0.1:8080"
	Client *http.Client
}

var _ Door = REST{}

// Call sends the case as the HTTP request that its contract binds it to.
func (d REST) Call(ctx context.Context, c *Case, key string) (*Answer, error) {
	request, err := d.request(ctx, c)
	if err != nil {
		return nil, err
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := d.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		// Lines of a stream are wrapped, also when the first one is the error.
		var chunk struct {
			Error json.RawMessage `json:"error"`
		}
		if c.method.IsStreamingServer() && json.Unmarshal(data, &chunk) == nil && chunk.Error != nil {
			data = chunk.Error
		}
		answer, err := statusAnswer(data)
		if err != nil {
			return nil, fmt.Errorf("status %d: %w: %s", response.StatusCode, err, data)
		}
		answer.HTTP = response.StatusCode
		return &Answer{Error: answer}, nil
	}
	if c.method.IsStreamingServer() {
		return lines(data)
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, fmt.Errorf("%w: %s", err, data)
	}
	return &Answer{Messages: []any{value}}, nil
}

var pathVariable = regexp.MustCompile(`\{([a-z_]+)\}`)

func (d REST) request(ctx context.Context, c *Case) (*http.Request, error) {
	rule, _ := proto.GetExtension(c.method.Options(), annotations.E_Http).(*annotations.HttpRule)
	method, path := binding(rule)
	requests, err := c.Requests()
	if err != nil {
		return nil, err
	}
	fields, _ := c.Request.(map[string]any)
	used := map[string]bool{}
	path = pathVariable.ReplaceAllStringFunc(path, func(name string) string {
		name = lowerCamel(name[1 : len(name)-1])
		used[name] = true
		return url.PathEscape(fmt.Sprint(fields[name]))
	})
	if method == http.MethodPost {
		return newJSON(ctx, method, d.Base+path, bytes.Join(requests, []byte("\n")))
	}
	query := url.Values{}
	flatten("", fields, used, query)
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return newJSON(ctx, method, d.Base+path, nil)
}

func newJSON(ctx context.Context, method, url string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err == nil && body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, err
}

// flatten writes nested fields as query parameters: page.size=2.
func flatten(prefix string, fields map[string]any, skip map[string]bool, query url.Values) {
	for name, value := range fields {
		if prefix == "" && skip[name] {
			continue
		}
		if nested, ok := value.(map[string]any); ok {
			flatten(prefix+name+".", nested, nil, query)
			continue
		}
		if list, ok := value.([]any); ok {
			for _, v := range list {
				query.Add(prefix+name, fmt.Sprint(v))
			}
			continue
		}
		query.Set(prefix+name, fmt.Sprint(value))
	}
}

func binding(rule *annotations.HttpRule) (method, path string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	}
	return "", ""
}

func lowerCamel(name string) string {
	var out []byte
	for i := 0; i < len(name); i++ {
		if name[i] == '_' && i+1 < len(name) {
			i++
			out = append(out, name[i]-'a'+'A')
			continue
		}
		out = append(out, name[i])
	}
	return string(out)
}

// lines reads an answer of one {"result": …} or {"error": …} a line.
func lines(data []byte) (*Answer, error) {
	answer := &Answer{}
	for line := range bytes.Lines(data) {
		var chunk struct {
			Result any             `json:"result"`
			Error  json.RawMessage `json:"error"`
		}
		if err := json.Unmarshal(line, &chunk); err != nil {
			return nil, fmt.Errorf("%w: %s", err, line)
		}
		if chunk.Error != nil {
			e, err := statusAnswer(chunk.Error)
			if err != nil {
				return nil, err
			}
			answer.Error = e
			continue
		}
		answer.Messages = append(answer.Messages, chunk.Result)
	}
	return answer, nil
}

func statusAnswer(data []byte) (*ErrorAnswer, error) {
	var s struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Details []struct {
			Type            string `json:"@type"`
			Reason          string `json:"reason"`
			FieldViolations []struct {
				Field string `json:"field"`
			} `json:"fieldViolations"`
		} `json:"details"`
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	answer := &ErrorAnswer{Code: codeName(s.Code), Message: s.Message}
	for _, d := range s.Details {
		if d.Reason != "" {
			answer.Reason = d.Reason
		}
		if len(d.FieldViolations) > 0 {
			answer.Field = d.FieldViolations[0].Field
		}
	}
	return answer, nil
}

// codeName is the name of a gRPC code as it stands in the contract's documents.
func codeName(code int) string {
	names := map[codes.Code]string{
		codes.OK: "OK", codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
		codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
		codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
		codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
		codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
		codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
	}
	return names[codes.Code(code)]
}
