package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type section struct {
	Limit   int64             `yaml:"limit"`
	Wait    time.Duration     `yaml:"wait"`
	Rate    float64           `yaml:"rate"`
	On      bool              `yaml:"on"`
	Origins []string          `yaml:"origins"`
	Peers   map[string]string `yaml:"peers"`
}

type whole struct {
	Name    string  `yaml:"name"`
	Gateway section `yaml:"gateway"`
}

func load(t *testing.T, file string, env ...string) (whole, []string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "switchyard.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c := whole{Name: "default", Gateway: section{Limit: 7}}
	warnings, err := Load(path, env, &c)
	return c, warnings, err
}

func TestFileThenEnvironment(t *testing.T) {
	t.Parallel()
	c, warnings, err := load(t, "name: ${NAME}\ngateway:\n  wait: 2m\n  rate: ${RATE:-0.5}\n  origins: [a, b]\n  # ${COMMENTS_ARE_LEFT_ALONE}\n",
		"NAME=from-env", "SWITCHYARD_GATEWAY_LIMIT=9", "SWITCHYARD_GATEWAY_ON=true", "SWITCHYARD_GATEWAY_ORIGINS=x, y",
		"SWITCHYARD_GATEWAY_PEERS=models=10.0.0.1:1,identity=10.0.0.2:1", "SWITCHYARD_GATEWAY_LIMT=1", "SWITCHYARD_KEY=secret")
	if err != nil {
		t.Fatal(err)
	}
	want := whole{Name: "from-env", Gateway: section{
		Limit: 9, Wait: 2 * time.Minute, Rate: 0.5, On: true, Origins: []string{"x", "y"},
		Peers: map[string]string{"models": "10.0.0.1:1", "identity": "10.0.0.2:1"},
	}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"SWITCHYARD_GATEWAY_LIMT overrides no setting"}, warnings); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsWrongIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		env  []string
		want []string
	}{
		"unknown key":        {"name: a\ngateway:\n  limt: 3\n", nil, []string{"limt", "3:"}},
		"wrong type":         {"gateway:\n  limit: many\n", nil, []string{"2:", "limit"}},
		"unset variable":     {"name: a\ngateway:\n  limit: ${NOPE}\n", nil, []string{"line 3", "NOPE"}},
		"bad override":       {"", []string{"SWITCHYARD_GATEWAY_WAIT=soon"}, []string{"SWITCHYARD_GATEWAY_WAIT", "soon"}},
		"not yaml":           {"name: [", nil, []string{"1:"}},
		"a key twice":        {"name: a\nname: b\n", nil, []string{"name", "2:"}},
		"override overflows": {"", []string{"SWITCHYARD_GATEWAY_LIMIT=99999999999999999999"}, []string{"whole number"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, c.file, c.env...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not name %q", err, part)
				}
			}
		})
	}
}

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add([]byte("name: ${NAME}\ngateway: {limit: 3}"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var c whole
		_ = decode(data, map[string]string{"NAME": "x"}, &c)
	})
}
