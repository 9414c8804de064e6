// Package browser drives a real headless Chromium in tests over WebDriver (https://www.w3.org/TR/webdriver2/), as a person would: it opens pages, presses keys, reads what is shown
// and takes pictures.
package browser

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	startTimeout = 20 * time.Second
	waitTimeout  = 10 * time.Second
	// narrow is the width below which a window is that of a telephone: Chromium has no smaller ones.
	narrow = 500
	// elementKey is how WebDriver names an element.
	elementKey = "element-6066-11e4-a52e-4f735466cecf"
)

// Browser is one window.
type Browser struct {
	tb   testing.TB
	base string // of the session
}

// Start opens a window of that size. The test is skipped where Chromium or its driver is missing; both end with the test.
func Start(tb testing.TB, width, height int) *Browser {
	tb.Helper()
	driver, err := exec.LookPath("chromedriver")
	if err != nil {
		tb.Skip("chromedriver is not installed; script/test-deps installs it")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		tb.Skip("chromium is not installed; script/test-deps installs it")
	}
	address := freePort(tb)
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), driver, "--port="+address[len("127.0.0.1:"):], "--allowed-ips=127.0.0.1") //nolint:gosec // found in PATH
	cmd.Env = append(os.Environ(), "HOME="+tb.TempDir())
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	b := &Browser{tb: tb, base: "http://" + address}
	deadline := time.Now().Add(startTimeout)
	for b.call(http.MethodGet, "/status", nil, nil) != nil {
		if time.Now().After(deadline) {
			tb.Fatal("chromedriver does not answer")
		}
		time.Sleep(20 * time.Millisecond)
	}
	args := []string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--hide-scrollbars", "--user-data-dir=" + tb.TempDir(), fmt.Sprintf("--window-size=%d,%d", width, height),
	}
	var session struct {
		SessionID string `json:"sessionId"`
	}
	options := map[string]any{"binary": chromium, "args": args}
	if width < narrow {
		options["mobileEmulation"] = map[string]any{"deviceMetrics": map[string]any{"width": width, "height": height, "pixelRatio": 1, "touch": true}}
	}
	b.must("new session", b.call(http.MethodPost, "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{"goog:chromeOptions": options}}}, &session))
	b.base += "/session/" + session.SessionID
	tb.Cleanup(func() { _ = b.call(http.MethodDelete, "", nil, nil) })
	return b
}

func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// call makes one WebDriver command.
func (b *Browser) call(method, path string, in, out any) error {
	var body io.Reader
	if method == http.MethodPost {
		if in == nil {
			in = struct{}{}
		}
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.tb.Context()), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, b.base+path, body)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %.500s", method, path, res.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, &struct{ Value any }{out})
}

func (b *Browser) must(what string, err error) {
	b.tb.Helper()
	if err != nil {
		b.tb.Fatalf("browser: %s: %v", what, err)
	}
}

// Open loads a page.
func (b *Browser) Open(url string) {
	b.tb.Helper()
	b.must("open "+url, b.call(http.MethodPost, "/url", map[string]string{"url": url}, nil))
}

// URL returns the address of the page.
func (b *Browser) URL() (url string) {
	b.tb.Helper()
	b.must("url", b.call(http.MethodGet, "/url", nil, &url))
	return url
}

// Run evaluates a script, the body of a function, and returns what it returns.
func (b *Browser) Run(script string, args ...any) (value any) {
	b.tb.Helper()
	if args == nil {
		args = []any{}
	}
	b.must("script "+script, b.call(http.MethodPost, "/execute/sync", map[string]any{"script": script, "args": args}, &value))
	return value
}

// Text returns what a person sees of the first element that a CSS selector finds.
func (b *Browser) Text(selector string) string {
	b.tb.Helper()
	text, _ := b.Run(`const e = document.querySelector(arguments[0]); return e ? e.innerText : null`, selector).(string)
	return text
}

// Count returns how many elements a CSS selector finds.
func (b *Browser) Count(selector string) int {
	b.tb.Helper()
	n, _ := b.Run(`return document.querySelectorAll(arguments[0]).length`, selector).(float64)
	return int(n)
}

// Click clicks the first element that a CSS selector finds.
func (b *Browser) Click(selector string) {
	b.tb.Helper()
	b.must("click "+selector, b.call(http.MethodPost, "/element/"+b.find(selector)+"/click", nil, nil))
}

// Fill replaces what stands in an input.
func (b *Browser) Fill(selector, text string) {
	b.tb.Helper()
	id := b.find(selector)
	b.must("clear "+selector, b.call(http.MethodPost, "/element/"+id+"/clear", nil, nil))
	b.must("fill "+selector, b.call(http.MethodPost, "/element/"+id+"/value", map[string]string{"text": text}, nil))
}

func (b *Browser) find(selector string) string {
	b.tb.Helper()
	var element map[string]string
	b.must("find "+selector, b.call(http.MethodPost, "/element", map[string]string{"using": "css selector", "value": selector}, &element))
	return element[elementKey]
}

// Tab and Enter are keys for Press.
const (
	Tab   = "\ue004"
	Enter = "\ue007"
	Space = "\ue00d"
)

// Press presses keys one after the other, wherever the focus is.
func (b *Browser) Press(keys ...string) {
	b.tb.Helper()
	var actions []map[string]string
	for _, k := range keys {
		actions = append(actions, map[string]string{"type": "keyDown", "value": k}, map[string]string{"type": "keyUp", "value": k})
	}
	b.must("press", b.call(http.MethodPost, "/actions", map[string]any{"actions": []any{map[string]any{"type": "key", "id": "keyboard", "actions": actions}}}, nil))
}

// Wait waits until a script returns true; what says in words for what.
func (b *Browser) Wait(what, script string, args ...any) {
	b.tb.Helper()
	deadline := time.Now().Add(waitTimeout)
	for b.Run(script, args...) != true {
		if time.Now().After(deadline) {
			b.tb.Fatalf("browser: not within %s: %s\nat %s:\n%s", waitTimeout, what, b.URL(), b.Text("body"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// WaitFor waits until a CSS selector finds something.
func (b *Browser) WaitFor(selector string) {
	b.tb.Helper()
	b.Wait(selector+" is there", `return document.readyState === "complete" && document.querySelector(arguments[0]) !== null`, selector)
}

// Screenshot writes a picture of the window into $SWITCHYARD_SCREENSHOTS, when that names a folder.
func (b *Browser) Screenshot(name string) {
	b.tb.Helper()
	dir := os.Getenv("SWITCHYARD_SCREENSHOTS")
	if dir == "" {
		return
	}
	var encoded string
	b.must("screenshot", b.call(http.MethodGet, "/screenshot", nil, &encoded))
	png, err := base64.StdEncoding.DecodeString(encoded)
	b.must("screenshot", err)
	b.must("screenshot", os.MkdirAll(dir, 0o750))                                   //nolint:gosec // who runs the tests names the folder
	b.must("screenshot", os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)) //nolint:gosec // likewise
}
