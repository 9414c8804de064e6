package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

var cases = []string{"imports", "names", "scalars", "service", "shapes", "wellknown"}

func TestGeneratedCodeIsWhatWeMeant(t *testing.T) {
	t.Parallel()
	for _, name := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden := filepath.Join("testdata", name, "php")
			got := generated(t, caseRequest(t, name))
			if *update {
				if err := os.RemoveAll(golden); err != nil {
					t.Fatal(err)
				}
				writeTree(t, golden, got)
				return
			}
			for file, content := range got {
				want, err := os.ReadFile(filepath.Join(golden, filepath.FromSlash(file)))
				if err != nil {
					t.Errorf("%v (run go test -update after looking at the change)", err)
				} else if string(want) != content {
					t.Errorf("%s differs from its golden file at line %d (go test -update rewrites it)", file, firstDifference(string(want), content))
				}
			}
			err := filepath.WalkDir(golden, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					rel, _ := filepath.Rel(golden, path)
					if _, ok := got[filepath.ToSlash(rel)]; !ok {
						t.Errorf("%s is no longer written", path)
					}
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func firstDifference(a, b string) int {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return i + 1
		}
	}
	return min(len(as), len(bs)) + 1
}

func TestEveryFilePassesPHPLint(t *testing.T) {
	t.Parallel()
	bin := php(t)
	dir := t.TempDir()
	var paths []string
	for _, name := range cases {
		paths = append(paths, writeTree(t, filepath.Join(dir, name), generated(t, caseRequest(t, name)))...)
	}
	for _, dir := range []string{"../../php/client/src", "../../gen/php"} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".php" && !d.IsDir() {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var lint errgroup.Group
	lint.SetLimit(4)
	for _, path := range paths {
		lint.Go(func() error {
			if out, err := exec.CommandContext(t.Context(), bin, "-n", "-l", path).CombinedOutput(); err != nil {
				return fmt.Errorf("php -l %s: %s", path, out)
			}
			return nil
		})
	}
	if err := lint.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d files", len(paths))
}

func TestOutputDoesNotDependOnOrderOrRun(t *testing.T) {
	t.Parallel()
	req := caseRequest(t, "imports")
	marshal := func(req *pluginpb.CodeGeneratorRequest) []byte {
		resp := respond(req, io.Discard)
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(resp)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range resp.GetFile()[1:] {
			if resp.GetFile()[i].GetName() >= f.GetName() {
				t.Errorf("files are not ordered: %s before %s", resp.GetFile()[i].GetName(), f.GetName())
			}
		}
		return raw
	}
	want := marshal(req)
	for range 5 {
		if !bytes.Equal(want, marshal(req)) {
			t.Fatal("two runs differ")
		}
	}
	slices.Reverse(req.FileToGenerate)
	if !bytes.Equal(want, marshal(req)) {
		t.Error("the order of the files to generate changes the output")
	}
}

func TestAClassHasTheSameNameWhicheverFilesAreGenerated(t *testing.T) {
	t.Parallel()
	req := caseRequest(t, "imports")
	all := generated(t, req)
	for _, path := range slices.Clone(req.FileToGenerate) {
		req.FileToGenerate = []string{path}
		for name, content := range generated(t, req) {
			if name != "manifest.php" && all[name] != content {
				t.Errorf("%s alone writes another %s", path, name)
			}
		}
	}
}
