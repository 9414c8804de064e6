package mesh_test

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/mesh"
)

// BenchmarkNewServer is what a server adds to the start of the process: mostly the compilation of validation rules.
func BenchmarkNewServer(b *testing.B) {
	cpu := cpuTime(b)
	for b.Loop() {
		s, err := mesh.NewServer(mesh.Default(), mesh.Deps{Authenticator: keyring{}})
		if err != nil {
			b.Fatal(err)
		}
		everything(b, s)
	}
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N)/1e6, "cpu-ms/op")
}
