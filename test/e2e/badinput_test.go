package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

const routePath = "/v1/routing/inquiries:route"

// badREST are requests that nobody should send, with the answer that tells them so.
func badREST() []struct {
	name, method, path, contentType, body string
	header                                map[string]string
	status                                int
	reason                                string
} {
	long := strings.Repeat("a", 5<<20)
	type c = struct {
		name, method, path, contentType, body string
		header                                map[string]string
		status                                int
		reason                                string
	}
	items := make([]object, 10_000)
	for i := range items {
		items[i] = object{"body": "x"}
	}
	many, _ := json.Marshal(object{"deployment": "support", "items": items})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 64<<20))
	_ = z.Close()
	deep := `{"deployment":"support","body":"x","attributes":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_001)
	return []c{
		{name: "empty text", path: routePath, body: `{"deployment":"support","body":""}`, status: 400, reason: "INVALID_ARGUMENT"},
		{name: "blank text", path: "/v1/moderation/texts:moderate", body: `{"deployment":"comments","text":""}`, status: 400, reason: "INVALID_ARGUMENT"},
		{name: "5 MiB text", path: routePath, body: `{"deployment":"support","body":"` + long + `"}`, status: 400, reason: "INVALID_ARGUMENT"},
		{name: "9 MiB body", path: routePath, body: `{"deployment":"support","body":"` + long + long + `"}`, status: 413, reason: "REQUEST_TOO_LARGE"},
		{name: "gzip bomb", path: routePath, body: bomb.String(), header: map[string]string{"Content-Encoding": "gzip"}, status: 413, reason: "REQUEST_TOO_LARGE"},
		{name: "invalid UTF-8", path: routePath, body: "{\"deployment\":\"support\",\"body\":\"\xff\xfe\"}", status: 400, reason: "MALFORMED_REQUEST"},
		{name: "unknown deployment", path: routePath, body: `{"deployment":"nope","body":"x"}`, status: 404, reason: "DEPLOYMENT_NOT_FOUND"},
		{name: "hostile deployment name", path: routePath, body: `{"deployment":"../../etc","body":"x"}`, status: 400, reason: "INVALID_ARGUMENT"},
		{name: "unknown field", path: routePath, body: `{"deployment":"support","boddy":"x"}`, status: 400, reason: "MALFORMED_REQUEST"},
		{name: "wrong type", path: routePath, body: `{"deployment":"support","body":7}`, status: 400, reason: "MALFORMED_REQUEST"},
		{name: "array for an object", path: routePath, body: `[]`, status: 400, reason: "MALFORMED_REQUEST"},
		{name: "null", path: routePath, body: `null`, status: 400, reason: "MALFORMED_REQUEST"},
		{name: "no body", path: routePath, body: ``, status: 400, reason: ""},
		{name: "malformed JSON", path: routePath, body: `{"deployment":"support",`, status: 400, reason: "MALFORMED_REQUEST"},
		{name: "trailing data", path: routePath, body: `{"deployment":"support","body":"x"} {}`, status: 400, reason: "MALFORMED_REQUEST"},
		{name: "duplicate field", path: routePath, body: `{"deployment":"support","body":"x","body":"y"}`, status: 400, reason: "MALFORMED_REQUEST"},
		{name: "deep nesting", path: routePath, body: deep, status: 400, reason: "MALFORMED_REQUEST"},
		{name: "deep arrays", path: routePath, body: strings.Repeat("[", 100_000), status: 400, reason: "MALFORMED_REQUEST"},
		{name: "10,000-item batch", path: "/v1/routing/inquiries:batchRoute", body: string(many), status: 400, reason: "INVALID_ARGUMENT"},
		{name: "empty batch", path: "/v1/routing/inquiries:batchRoute", body: `{"deployment":"support","items":[]}`, status: 400, reason: "INVALID_ARGUMENT"},
		{name: "text for a record", path: "/v1/classification/records:classify", body: `{"deployment":"topics","record":{"a":{"number":1}}}`, status: 400, reason: "INPUT_MISMATCH"},
		{name: "not a number", path: "/v1/classification/records:classify", body: `{"deployment":"topics","record":{"a":{"number":"NaN"}}}`, status: 400, reason: "INVALID_ARGUMENT"},
		{name: "wrong content type", path: routePath, contentType: "text/xml", body: `<a/>`, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "wrong charset", path: routePath, contentType: "application/json; charset=latin1", body: `{}`, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "wrong method", method: http.MethodGet, path: routePath, status: 405, reason: "METHOD_NOT_ALLOWED"},
		{name: "unknown path", path: "/v1/nothing", body: `{}`, status: 404, reason: "ROUTE_NOT_FOUND"},
		{name: "hostile path", path: "/v1/models/..%2f..%2fetc/versions", method: http.MethodGet, status: 404, reason: ""},
		{
			name: "expired deadline", path: "/v1/routing/inquiries:batchRoute", body: `{"deployment":"support","items":[` + strings.Repeat(`{"body":"`+strings.Repeat("printer cable ", 300)+`"},`, 900) + `{"body":"x"}]}`,
			header: map[string]string{"Grpc-Timeout": "1n"}, status: 408, reason: "DEADLINE_EXCEEDED",
		},
		{name: "malformed deadline", path: routePath, body: `{"deployment":"support","body":"x"}`, header: map[string]string{"Grpc-Timeout": "soon"}, status: 400, reason: ""},
		{name: "no key", path: routePath, body: `{}`, header: map[string]string{"Authorization": ""}, status: 401, reason: "KEY_MISSING"},
		{name: "wrong key", path: routePath, body: `{}`, header: map[string]string{"Authorization": "Bearer nope"}, status: 401, reason: "KEY_INVALID"},
		{name: "huge header", path: routePath, body: `{}`, header: map[string]string{"X-Request-Id": strings.Repeat("a", 64<<10)}, status: 431, reason: ""},
	}
}

func TestBadInputOverREST(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range badREST() {
		t.Run(c.name, func(t *testing.T) {
			header := map[string]string{"Authorization": "Bearer " + s.Key, "Content-Type": "application/json"}
			if c.contentType != "" {
				header["Content-Type"] = c.contentType
			}
			maps.Copy(header, c.header)
			if header["Authorization"] == "" {
				delete(header, "Authorization")
			}
			if c.method == "" {
				c.method = http.MethodPost
			}
			a, err := s.Do(t.Context(), c.method, c.path, []byte(c.body), header)
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != c.status {
				t.Errorf("HTTP %d, want %d: %.400s", a.Status, c.status, a.Body)
			}
			if c.reason != "" {
				checkReason(t, a, c.reason)
			}
		})
	}
	checkHealthy(t, s)
}

// checkReason checks that an answer is google.rpc.Status with an ErrorInfo of the reason.
func checkReason(t *testing.T, a process.Answer, reason string) {
	t.Helper()
	var st struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Details []struct {
			Type   string `json:"@type"`
			Reason string `json:"reason"`
			Domain string `json:"domain"`
		} `json:"details"`
	}
	if err := json.Unmarshal(a.Body, &st); err != nil || st.Code == 0 || st.Message == "" || len(st.Details) == 0 {
		t.Errorf("the answer is no status with details: %v: %.400s", err, a.Body)
		return
	}
	if d := st.Details[0]; d.Reason != reason || d.Domain != "switchyard" || !strings.HasSuffix(d.Type, "google.rpc.ErrorInfo") {
		t.Errorf("reason %q, want %q: %.400s", d.Reason, reason, a.Body)
	}
	if len(a.Body) > 8<<10 {
		t.Errorf("the refusal has %d bytes: it repeats the input", len(a.Body))
	}
}

// checkHealthy says whether the server has taken it all without an internal error and still answers.
func checkHealthy(t *testing.T, s *process.Server) {
	t.Helper()
	post(t, s, routePath, object{"deployment": "support", "body": "my printer does not work"})
	for _, bad := range []string{"panic", `"reason":"INTERNAL"`, `"level":"ERROR"`} {
		if strings.Contains(s.Stderr(), bad) {
			t.Errorf("the log holds %s:\n%s", bad, last(s.Stderr(), 3000))
		}
	}
}

// raw sends bytes as they are: a generated message could not be this wrong.
type raw struct{}

// Marshal implements encoding.Codec.
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

// Unmarshal implements encoding.Codec.
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }

// Name implements encoding.Codec: what the bytes claim to be.
func (raw) Name() string { return "proto" }

// stringField is a message with one string field.
func stringField(number protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func TestBadInputOverGRPC(t *testing.T) {
	t.Parallel()
	s := start(t)
	const service = "/switchyard.routing.v1.RoutingService/"
	support := stringField(1, "support")
	var many []byte
	for range 10_000 {
		many = append(many, protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), stringField(2, "x"))...)
	}
	nested := []byte{}
	for range 20_000 {
		nested = protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), nested)
		if len(nested) > 60_000 {
			break
		}
	}
	for _, c := range []struct {
		name, method, key string
		message           []byte
		timeout           time.Duration
		code              codes.Code
		reason            string
	}{
		{name: "empty message", message: []byte{}, code: codes.InvalidArgument, reason: "INVALID_ARGUMENT"},
		{name: "empty text", message: support, code: codes.InvalidArgument, reason: "INVALID_ARGUMENT"},
		{name: "5 MiB text", message: append(support, stringField(3, strings.Repeat("a", 5<<20))...), code: codes.InvalidArgument, reason: "INVALID_ARGUMENT"},
		{name: "9 MiB message", message: append(support, stringField(3, strings.Repeat("a", 9<<20))...), code: codes.ResourceExhausted, reason: "REQUEST_TOO_LARGE"},
		{name: "invalid UTF-8", message: append(support, stringField(3, "\xff\xfe")...), code: codes.InvalidArgument, reason: "MALFORMED_REQUEST"},
		{name: "unknown deployment", message: append(stringField(1, "nope"), stringField(3, "x")...), code: codes.NotFound, reason: "DEPLOYMENT_NOT_FOUND"},
		{name: "not a message", message: []byte{0xff, 0xff, 0xff, 0xff}, code: codes.InvalidArgument, reason: "MALFORMED_REQUEST"},
		{name: "a length that lies", message: []byte{0x1a, 0xff, 0xff, 0xff, 0x7f, 'x'}, code: codes.InvalidArgument, reason: "MALFORMED_REQUEST"},
		{name: "deep nesting", message: append(support, nested...), code: codes.InvalidArgument, reason: ""},
		{name: "10,000-item batch", method: "BatchRouteInquiry", message: append(support, many...), code: codes.InvalidArgument, reason: "INVALID_ARGUMENT"},
		{name: "empty batch", method: "BatchRouteInquiry", message: support, code: codes.InvalidArgument, reason: "INVALID_ARGUMENT"},
		{name: "unknown method", method: "Nothing", message: support, code: codes.Unimplemented, reason: "UNIMPLEMENTED"},
		{name: "no key", key: "none", message: support, code: codes.Unauthenticated, reason: "KEY_MISSING"},
		{name: "wrong key", key: "syk_nope", message: support, code: codes.Unauthenticated, reason: "KEY_INVALID"},
		{name: "expired deadline", timeout: time.Nanosecond, message: append(support, stringField(3, "x")...), code: codes.DeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := s.Key
			switch c.key {
			case "":
			case "none":
				key = ""
			default:
				key = c.key
			}
			ctx, cancel := context.WithCancel(t.Context())
			if c.timeout > 0 {
				ctx, cancel = context.WithTimeout(t.Context(), c.timeout)
			}
			defer cancel()
			if c.method == "" {
				c.method = "RouteInquiry"
			}
			var answer []byte
			err := dial(t, s, key).Invoke(ctx, service+c.method, &c.message, &answer, grpc.ForceCodec(raw{}))
			st := status.Convert(err)
			if st.Code() != c.code {
				t.Errorf("%v, want %v: %.300s", st.Code(), c.code, st.Message())
			}
			if c.reason == "" {
				return
			}
			if got := reasonOf(st); got != c.reason {
				t.Errorf("reason %q, want %q: %.300s", got, c.reason, st.Message())
			}
		})
	}
	checkHealthy(t, s)
}

func reasonOf(st *status.Status) string {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == "switchyard" {
			return info.GetReason()
		}
	}
	return fmt.Sprintf("none of %d details", len(st.Details()))
}

// TestBadTrainingFiles trains on files that cannot teach anything; the message is to say what is wrong and what would help.
func TestBadTrainingFiles(t *testing.T) {
	t.Parallel()
	s := start(t, "--no-starter")
	repeat := func(n int, line func(i int) string) []byte {
		var b bytes.Buffer
		for i := range n {
			b.WriteString(line(i) + "\n")
		}
		return b.Bytes()
	}
	for _, c := range []struct {
		name string
		data []byte
		want []string // any of these words, in lower case
	}{
		{"empty", nil, []string{"no row", "empty", "0 rows", "no usable"}},
		{"one label", repeat(200, func(i int) string { return fmt.Sprintf(`{"text":"text %d","label":"only"}`, i) }), []string{"one label", "two labels", "2 labels", "1 label"}},
		{"empty labels", repeat(200, func(i int) string { return fmt.Sprintf(`{"text":"text %d","label":""}`, i) }), []string{"label"}},
		{"10 rows", tickets(10), []string{"rows"}},
		{"contradictory duplicates", repeat(200, func(i int) string {
			return fmt.Sprintf(`{"text":"always the same","label":%q}`, []string{"a", "b"}[i%2])
		}), []string{"contradict", "different labels", "same text", "conflict"}},
		{"no JSON", []byte("text,label\nhello,a\n\x00\x01\x02"), []string{"row", "line", "json", "format", "column"}},
		{"wrong fields", repeat(50, func(i int) string { return fmt.Sprintf(`{"body":"text %d","queue":"a"}`, i) }), []string{"text"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, err := s.Command(t.Context(), binary, "train", "--operation", "routing", "--deployment", "bad", "--report", "-", "--json", "--input", file(t, "input.jsonl", c.data))
			if err == nil {
				t.Fatalf("training succeeds: %.300s", out)
			}
			text := strings.ToLower(err.Error())
			t.Log(err)
			if strings.Contains(text, "goroutine") {
				t.Error("the trainer panicked")
			}
			for _, w := range c.want {
				if strings.Contains(text, w) {
					return
				}
			}
			t.Errorf("the message holds none of %q", c.want)
		})
	}
	if list := get(t, s, "/v1/models"); len(list["models"].([]any)) != 0 {
		t.Errorf("bad files left models: %v", list)
	}
}
