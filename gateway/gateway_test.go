package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

const routePath = "/v1/routing/inquiries:route"

// site is the product with one routing deployment, seen through REST.
type site struct {
	t    *testing.T
	base string
	key  string
}

func open(t *testing.T, options ...testkit.Option) *site {
	t.Helper()
	s := testkit.Start(t, options...)
	testkit.Deploy(t, s.Dial(s.Key), "support", testkit.Support, true)
	return &site{t: t, base: "http://" + s.Addresses.HTTP, key: s.Key}
}

// request is one call; zero members take what a proper call has.
type request struct {
	method, path, body string
	header             map[string]string
	reader             io.Reader
}

// answer is what came back, with the error's parts where it is one.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	reason  string
	message string
}

func (s *site) do(r request) answer {
	s.t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.path == "" {
		r.path = routePath
	}
	body := r.reader
	if body == nil {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), r.method, s.base+r.path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	for name, value := range r.header {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: data}
	var e struct {
		Message string `json:"message"`
		Details []struct {
			Reason string `json:"reason"`
		} `json:"details"`
	}
	if res.StatusCode != http.StatusOK && json.Unmarshal(data, &e) == nil {
		a.message = e.Message
		for _, d := range e.Details {
			if d.Reason != "" {
				a.reason = d.Reason
			}
		}
	}
	return a
}

const good = `{"deployment":"support","body":"my laptop screen stays black"}`

func TestBadInputIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	s := open(t)
	for name, c := range map[string]struct {
		request request
		status  int
		reason  string
		message string
	}{
		"not JSON":                {request{body: `{"deployment":`}, 400, "MALFORMED_REQUEST", ""},
		"an array":                {request{body: `[]`}, 400, "MALFORMED_REQUEST", ""},
		"trailing data":           {request{body: good + good}, 400, "MALFORMED_REQUEST", ""},
		"no body":                 {request{body: ""}, 400, "INVALID_ARGUMENT", "deployment"},
		"unknown field":           {request{body: `{"deployment":"support","bdoy":"x"}`}, 400, "MALFORMED_REQUEST", "bdoy"},
		"wrong type":              {request{body: `{"deployment":"support","body":7}`}, 400, "MALFORMED_REQUEST", "body"},
		"a key twice":             {request{body: `{"deployment":"support","body":"a","body":"b"}`}, 400, "MALFORMED_REQUEST", ""},
		"invalid UTF-8":           {request{body: "{\"deployment\":\"support\",\"body\":\"\xff\xfe\"}"}, 400, "MALFORMED_REQUEST", "UTF-8"},
		"deep nesting":            {request{body: strings.Repeat(`{"attributes":`, 5000) + strings.Repeat("}", 5000)}, 400, "MALFORMED_REQUEST", ""},
		"5 MiB text":              {request{body: `{"deployment":"support","body":"` + strings.Repeat("a", 5<<20) + `"}`}, 400, "INVALID_ARGUMENT", "body"},
		"9 MiB body":              {request{body: `{"deployment":"support","body":"` + strings.Repeat("a", 9<<20) + `"}`}, 413, "REQUEST_TOO_LARGE", "8388608"},
		"unknown deployment":      {request{body: `{"deployment":"nope","body":"x"}`}, 404, "DEPLOYMENT_NOT_FOUND", "nope"},
		"10,000 items":            {request{path: "/v1/routing/inquiries:batchRoute", body: `{"deployment":"support","items":[` + strings.Repeat(`{"body":"x"},`, 9999) + `{"body":"x"}]}`}, 400, "INVALID_ARGUMENT", "items"},
		"wrong content type":      {request{body: good, header: map[string]string{"Content-Type": "text/xml"}}, 415, "UNSUPPORTED_MEDIA_TYPE", "text/xml"},
		"form content type":       {request{body: good, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415, "UNSUPPORTED_MEDIA_TYPE", ""},
		"other charset":           {request{body: good, header: map[string]string{"Content-Type": "application/json; charset=latin1"}}, 415, "UNSUPPORTED_MEDIA_TYPE", ""},
		"unknown encoding":        {request{body: good, header: map[string]string{"Content-Encoding": "br"}}, 415, "UNSUPPORTED_MEDIA_TYPE", "br"},
		"not gzip":                {request{body: good, header: map[string]string{"Content-Encoding": "gzip"}}, 400, "MALFORMED_REQUEST", "gzip"},
		"wrong method":            {request{method: http.MethodGet}, 405, "METHOD_NOT_ALLOWED", "POST"},
		"method override":         {request{method: http.MethodGet, header: map[string]string{"X-HTTP-Method-Override": "POST"}}, 405, "METHOD_NOT_ALLOWED", ""},
		"unknown path":            {request{path: "/v1/routing/inquiries:rout", body: good}, 404, "ROUTE_NOT_FOUND", ""},
		"outside of the API":      {request{path: "/wp-login.php", body: good}, 404, "ROUTE_NOT_FOUND", ""},
		"no key":                  {request{body: good, header: map[string]string{"Authorization": ""}}, 401, "KEY_MISSING", ""},
		"wrong kind of key":       {request{body: good, header: map[string]string{"Authorization": "Basic YTpi"}}, 401, "", ""},
		"expired deadline":        {request{body: good, header: map[string]string{"Grpc-Timeout": "1n"}}, 408, "DEADLINE_EXCEEDED", ""},
		"impossible deadline":     {request{body: good, header: map[string]string{"Grpc-Timeout": "soon"}}, 400, "MALFORMED_REQUEST", "timeout"},
		"query of a wrong type":   {request{method: http.MethodGet, path: "/v1/models?page.size=many"}, 400, "MALFORMED_REQUEST", ""},
		"unknown query":           {request{method: http.MethodGet, path: "/v1/models?limit=3"}, 200, "", ""},
		"a number out of range":   {request{method: http.MethodGet, path: "/v1/models?page.size=99999999999"}, 400, "MALFORMED_REQUEST", ""},
		"a path with a traversal": {request{method: http.MethodGet, path: "/v1/models/..%2f..%2fetc/versions"}, 404, "ROUTE_NOT_FOUND", ""},
		"infinite number":         {request{path: "/v1/classification/records:classify", body: `{"deployment":"x","record":{"a":{"number":"Infinity"}}}`}, 400, "INVALID_ARGUMENT", "record"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := &site{t: t, base: s.base, key: s.key}
			a := here.do(c.request)
			if a.status != c.status {
				t.Errorf("status %d, want %d: %.300s", a.status, c.status, a.body)
			}
			if c.reason != "" && a.reason != c.reason {
				t.Errorf("reason %q, want %q: %.300s", a.reason, c.reason, a.body)
			}
			if !strings.Contains(a.message, c.message) {
				t.Errorf("message %q does not name %q", a.message, c.message)
			}
			if a.status >= 500 {
				t.Errorf("a caller's mistake became status %d", a.status)
			}
		})
	}
}

func TestErrorsSayWhatHTTPClientsExpect(t *testing.T) {
	t.Parallel()
	s := open(t)
	if a := s.do(request{method: http.MethodPut}); a.header.Get("Allow") != "POST" {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}
	if a := s.do(request{body: good, header: map[string]string{"Authorization": ""}}); !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("WWW-Authenticate is %q", a.header.Get("WWW-Authenticate"))
	}
}

func TestCompressionBothWays(t *testing.T) {
	t.Parallel()
	s := open(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(`{"deployment":"support","items":[` + strings.Repeat(`{"body":"my laptop screen stays black"},`, 99) + `{"body":"x"}]}`))
	_ = z.Close()
	a := s.do(request{path: "/v1/routing/inquiries:batchRoute", reader: &packed, header: map[string]string{"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}})
	if a.status != http.StatusOK || a.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("status %d, encoding %q", a.status, a.header.Get("Content-Encoding"))
	}
	r, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	var batch struct{ Results []any }
	if err := json.NewDecoder(r).Decode(&batch); err != nil || len(batch.Results) != 100 {
		t.Errorf("%d results, %v", len(batch.Results), err)
	}
}

func TestACompressionBombIsCutOff(t *testing.T) {
	t.Parallel()
	s := open(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 64 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	_ = z.Close()
	a := s.do(request{reader: &bomb, header: map[string]string{"Content-Encoding": "gzip"}})
	if a.status != 413 || a.reason != "REQUEST_TOO_LARGE" {
		t.Errorf("status %d %s", a.status, a.reason)
	}
}

func TestStreamAnswersBeforeTheRequestEnds(t *testing.T) {
	t.Parallel()
	s := open(t)
	body, feed := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"/v1/routing/inquiries:streamRoute", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/x-ndjson")
	go func() {
		_, _ = fmt.Fprintln(feed, `{"deployment":"support","item":{"body":"my laptop screen stays black"}}`)
	}()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if got := res.Header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("content type %q", got)
	}
	lines := bufio.NewScanner(res.Body)
	for i := range 3 {
		if !lines.Scan() {
			t.Fatalf("no answer to line %d: %v", i, lines.Err())
		}
		if !strings.Contains(lines.Text(), "hardware") {
			t.Errorf("answer %d is %s", i, lines.Text())
		}
		go func() { _, _ = fmt.Fprintln(feed, `{"item":{"body":"my laptop screen stays black"}}`) }()
	}
	_ = feed.Close()
}

func TestAnUnreadableLineEndsTheStreamWithAReason(t *testing.T) {
	t.Parallel()
	s := open(t)
	a := s.do(request{
		path: "/v1/routing/inquiries:streamRoute",
		body: `{"deployment":"support","item":{"body":"my laptop screen stays black"}}` + "\n\n" + `{"item":{"bdoy":"x"}}` + "\n",
	})
	text := string(a.body) + a.message
	if !strings.Contains(text, "MALFORMED_REQUEST") || !strings.Contains(text, "line 3") || !strings.Contains(text, "bdoy") {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

func TestPagesComeFromTheBinaryAlone(t *testing.T) {
	t.Parallel()
	s := open(t)
	page := s.do(request{method: http.MethodGet, path: "/docs"})
	for _, want := range []string{"RouteInquiry", "routing:decide", "DEPLOYMENT_NOT_FOUND", "/v1/moderation/texts:moderate"} {
		if !bytes.Contains(page.body, []byte(want)) {
			t.Errorf("the reference lacks %q", want)
		}
	}
	for _, outside := range []string{"<script", "https://cdn", "src=\"http", "@import"} {
		if bytes.Contains(page.body, []byte(outside)) {
			t.Errorf("the reference holds %q", outside)
		}
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("content security policy %q", csp)
	}
	var document struct {
		Swagger string
		Paths   map[string]any
	}
	if err := json.Unmarshal(s.do(request{method: http.MethodGet, path: "/openapi.json"}).body, &document); err != nil || document.Swagger != "2.0" || document.Paths[routePath] == nil {
		t.Errorf("OpenAPI document: %v %q", err, document.Swagger)
	}
	s.do(request{body: good})
	if metrics := s.do(request{method: http.MethodGet, path: "/metrics"}); !bytes.Contains(metrics.body, []byte("rpc_server_call_duration")) || !bytes.Contains(metrics.body, []byte("switchyard_decision")) {
		t.Error("the metrics lack calls or decisions")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := s.do(request{method: http.MethodGet, path: path}); a.status != http.StatusOK {
			t.Errorf("%s answers %d", path, a.status)
		}
	}
}

func TestCORSIsOffUnlessConfigured(t *testing.T) {
	t.Parallel()
	preflight := request{method: http.MethodOptions, header: map[string]string{
		"Origin": "https://shop.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type",
	}}
	if a := open(t).do(preflight); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("an origin is allowed that nobody configured")
	}
	s := open(t, func(c *app.Config) { c.Gateway.AllowedOrigins = []string{"https://shop.example"} })
	if a := s.do(preflight); a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("the configured origin is not allowed: %d %v", a.status, a.header)
	}
	preflight.header["Origin"] = "https://evil.example"
	if a := s.do(preflight); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another origin is allowed")
	}
}

func TestOnlyListedHeadersGoOn(t *testing.T) {
	t.Parallel()
	s := open(t)
	a := s.do(request{body: good, header: map[string]string{"X-Request-Id": "6f0a4c52-0000-7000-8000-000000000001", "Grpc-Metadata-Authorization": "Bearer wrong"}})
	if a.status != http.StatusOK {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

func FuzzUnaryJSONNeverFailsWithServerError(f *testing.F) {
	for _, seed := range []string{good, `{}`, `{"deployment":"support","attributes":{"a":{"number":1e999}}}`, "\x00", `{"body":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	system := testkit.Start(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		here := &site{t: t, base: "http://" + system.Addresses.HTTP, key: system.Key}
		for _, path := range []string{routePath, "/v1/moderation/texts:batchModerate", "/v1/classification/records:classify", "/v1/routing/inquiries:streamRoute"} {
			if a := here.do(request{path: path, reader: bytes.NewReader(data)}); a.status >= 500 {
				t.Errorf("%s answers %d: %s", path, a.status, a.body)
			}
		}
	})
}
