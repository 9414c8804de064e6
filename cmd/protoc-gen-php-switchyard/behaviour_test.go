package main

import (
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/pluginpb"
)

// runPHP runs a script of testdata with the runtime and the generated code of some requests.
func runPHP(t testing.TB, script string, reqs ...*pluginpb.CodeGeneratorRequest) (stdout, stderr string) {
	t.Helper()
	bin := php(t)
	runtime, err := filepath.Abs("../../php/client/src")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-d", "memory_limit=512M", "-d", "display_errors=stderr", filepath.Join("testdata", script), runtime}
	if script == "behaviour.php" {
		// Without extensions: the round trips run with mbstring where it is installed, this without.
		args = append([]string{"-n"}, args...)
	}
	for _, req := range reqs {
		dir := t.TempDir()
		writeTree(t, dir, generated(t, req))
		args = append(args, dir)
	}
	cmd := exec.CommandContext(t.Context(), bin, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func TestGeneratedCodeKeepsItsPromises(t *testing.T) {
	t.Parallel()
	var reqs []*pluginpb.CodeGeneratorRequest
	for _, name := range []string{"scalars", "shapes", "wellknown", "service"} {
		reqs = append(reqs, caseRequest(t, name))
	}
	if out, errs := runPHP(t, "behaviour.php", reqs...); out != "ok\n" {
		t.Error(out, errs)
	}
}

func TestNoPublicSignatureIsUntyped(t *testing.T) {
	t.Parallel()
	reqs := []*pluginpb.CodeGeneratorRequest{ownContracts(t)}
	for _, name := range cases {
		if name != "service" { // its policy option is the product's own, which ownContracts has too
			reqs = append(reqs, caseRequest(t, name))
		}
	}
	out, counts := runPHP(t, "signatures.php", reqs...)
	if out != "" {
		t.Error(out)
	}
	t.Log(counts)
}

// TestEveryReservedWordCanBeAName uses each word as package, message, enum, enum value, field,
// oneof, method and service, as written and capitalised, and sends a message of it around.
func TestEveryReservedWordCanBeAName(t *testing.T) {
	t.Parallel()
	words := slices.Sorted(maps.Keys(reservedClasses))
	words = append(words, "this", "GLOBALS", "unknown_fields", "encode", "decode", "with", "message", "codec", "wire", "stdClass", "closure", "generator")
	texts := map[string]string{}
	for i, w := range words {
		up := upperFirst(w)
		texts[fmt.Sprintf("w%03d.proto", i)] = fmt.Sprintf(`syntax = "proto3";
package w%03d.%[2]s;
message %[3]s {
  message %[2]s_ { string %[2]s = 1; }
  enum Nested { ZERO_%[2]s = 0; }
  %[2]s_ %[2]s = 1;
  oneof one_%[2]s { string in_%[2]s = 2; }
  map<string, .w%03[1]d.%[2]s.V.%[3]s> map = 3;
}
message V { enum %[3]s { %[4]s_UNSPECIFIED = 0; } }
message W { enum Values { VALUES_UNSPECIFIED = 0; %[2]s = 1; } }
message E {
  V.%[3]s %[2]s = 1;
  W.Values value = 5;
  oneof %[2]s_one { int32 b = 2; int32 i = 3; int32 x = 4; }
}
message F { message %[3]s { oneof %[2]s { string text = 1; } } %[3]s f = 1; }
service %[3]s_ { rpc %[2]s(.w%03[1]d.%[2]s.%[3]s) returns (.w%03[1]d.%[2]s.%[3]s); }
service %[3]sService { rpc %[3]s(.w%03[1]d.%[2]s.%[3]s) returns (stream E); }
`, i, w, up, strings.ToUpper(strings.Trim(w, "_")))
	}
	req := source(t, "", texts)
	roundTrip(t, subjectsOf(t, req), 3)
	if out, _ := runPHP(t, "signatures.php", req); out != "" {
		t.Error(out)
	}
}

// TestEveryWordOfPHPIsKnown asks this PHP for its words and whether a class may have them as its name.
func TestEveryWordOfPHPIsKnown(t *testing.T) {
	t.Parallel()
	bin := php(t)
	const script = `foreach (get_defined_constants(true)['tokenizer'] ?? exit(3) as $name => $_) {
		foreach (['', '__'] as $before) {
			$word = $before . strtolower(substr($name, 2));
			$token = token_get_all('<?php ' . $word)[1] ?? null;
			if (is_array($token) && $token[0] !== T_STRING && $token[1] === $word) echo $word, "\n";
		}
	}`
	cmd := exec.CommandContext(t.Context(), bin, "-r", script)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("PHP without its tokenizer: %v", err)
	}
	words := strings.Fields(string(out))
	if len(words) < 60 {
		t.Fatalf("PHP has %d words: %q", len(words), words)
	}
	for _, w := range words {
		if reservedClasses[w] {
			continue
		}
		if msg, err := exec.CommandContext(t.Context(), bin, "-n", "-r", "class "+w+" {}").CombinedOutput(); err != nil {
			t.Errorf("%q is a word of PHP and no class may be named so: %s", w, msg)
		}
	}
}

// TestAForeignContractGetsTheNamespaceItIsGiven generates a contract that knows nothing of Switchyard into an application's namespaces.
func TestAForeignContractGetsTheNamespaceItIsGiven(t *testing.T) {
	t.Parallel()
	req := source(t, `php_namespace=acme.shop.v1:App\Shop,php_namespace=acme.money:App/Money,policy_option=`, map[string]string{
		"acme/money.proto": `syntax = "proto3"; package acme.money; option php_namespace = "Not\\This"; message Price { int64 cents = 1; }`,
		"acme/shop.proto": `syntax = "proto3"; package acme.shop.v1; import "acme/money.proto";
			message Order { message Line { string sku = 1; acme.money.Price price = 2; } repeated Line lines = 1; map<string, acme.money.Price> extras = 2; }
			enum ErrorReason { ERROR_REASON_UNSPECIFIED = 0; ERROR_REASON_SOLD_OUT = 1; }
			service ShopService { rpc Buy(Order) returns (Order); rpc Watch(Order) returns (stream Order); }`,
	})
	files := generated(t, req)
	for path, namespace := range map[string]string{
		"App/Money/Price.php": `App\Money`, "App/Shop/Order/Line.php": `App\Shop\Order`, "App/Shop/ShopClient.php": `App\Shop`,
		"App/Shop/Exception/SoldOutException.php": `App\Shop\Exception`,
	} {
		if !strings.Contains(files[path], "\nnamespace "+namespace+";\n") {
			t.Errorf("%s is not in namespace %s; written are %q", path, namespace, slices.Sorted(maps.Keys(files)))
		}
	}
	roundTrip(t, subjectsOf(t, req), 20)
	if out, _ := runPHP(t, "signatures.php", req); out != "" {
		t.Error(out)
	}
}

func TestRequestsThatCannotBeServedSaySo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ parameter, text, want string }{
		"unknown option":   {"nope=1", `syntax = "proto3";`, `unknown option "nope"`},
		"bad paths":        {"paths=here", `syntax = "proto3";`, "option paths: want psr4 or source_relative"},
		"bad namespace":    {"php_namespace=Acme", `syntax = "proto3";`, "option php_namespace: want <proto package>:<PHP namespace>"},
		"policy no option": {"policy_option=a.M", `syntax = "proto3"; package a; message M {}`, "a.M is no extension of google.protobuf.MethodOptions"},
		"proto2 type": {"", `syntax = "proto3"; package a; import "google/protobuf/descriptor.proto"; message M { google.protobuf.FileOptions o = 1; }`,
			"field a.M.o: the proto2 type google.protobuf.FileOptions is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := respond(source(t, c.parameter, map[string]string{"a.proto": c.text}), t.Output())
			if !strings.Contains(resp.GetError(), c.want) {
				t.Errorf("error is %q, want %q", resp.GetError(), c.want)
			}
		})
	}
}

func TestProto2FilesAreLeftOutWithANote(t *testing.T) {
	t.Parallel()
	var notes bytes.Buffer
	resp := respond(source(t, "", map[string]string{"old.proto": `syntax = "proto2"; package old; message M {}`}), &notes)
	if resp.Error != nil || len(resp.GetFile()) != 0 || !strings.Contains(notes.String(), "old.proto: proto2") {
		t.Errorf("error %q, %d files, notes %q", resp.GetError(), len(resp.GetFile()), notes.String())
	}
}

func TestOptionsPlaceFiles(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"dir/a.proto": `syntax = "proto3"; package acme.shop.v1; message M { message N {} }`,
		"bare.proto":  `syntax = "proto3"; message B {}`,
	}
	for parameter, want := range map[string][]string{
		"manifest=":                                           {"Acme/Shop/V1/M.php", "Acme/Shop/V1/M/N.php", "Bare/B.php"},
		"manifest=,paths=source_relative":                     {"B.php", "dir/M.php", "dir/M/N.php"},
		"manifest=,php_namespace_prefix=My.App":               {"My/App/Acme/Shop/V1/M.php", "My/App/Acme/Shop/V1/M/N.php", "My/App/B.php"},
		`manifest=,php_namespace=acme.shop.v1:Shop\\Api`:      {"Bare/B.php", "Shop/Api/M.php", "Shop/Api/M/N.php"},
		"manifest=,php_namespace_root=Acme":                   {"Bare/B.php", "Shop/V1/M.php", "Shop/V1/M/N.php"},
		"manifest=map/types.php,php_namespace_root=Acme/Shop": {"Bare/B.php", "V1/M.php", "V1/M/N.php", "map/types.php"},
	} {
		got := slices.Sorted(maps.Keys(generated(t, source(t, parameter, texts))))
		if !slices.Equal(got, want) {
			t.Errorf("%s: files %q, want %q", parameter, got, want)
		}
	}
}

func TestGarbageIsNoRequest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(strings.NewReader("no request"), &out, t.Output()); err == nil {
		t.Error("garbage is accepted as a request")
	}
	if err := run(strings.NewReader(""), &out, t.Output()); err != nil || out.Len() == 0 {
		t.Errorf("an empty request: %v, %d bytes", err, out.Len())
	}
}
