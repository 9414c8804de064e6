// Command protoc-gen-php-switchyard is a protoc plugin that writes PHP 8.2 from proto3
// contracts: immutable messages with their own binary and JSON codecs, enums, and per
// service an interface, a client and a fake. It works on any contract; the generated code
// needs only the Composer package switchyard/client. See docs/reference/protoc-gen-php-switchyard.md.
package main

import (
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if err := run(os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "protoc-gen-php-switchyard:", err)
		os.Exit(1)
	}
}

// run reads one CodeGeneratorRequest and answers it. Faults of the contract travel in the
// response, as protoc wants them; the error is for input that is no request at all.
func run(in io.Reader, out, notes io.Writer) error {
	raw, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	req := &pluginpb.CodeGeneratorRequest{}
	if err := proto.Unmarshal(raw, req); err != nil {
		return fmt.Errorf("parse request: %w", err)
	}
	resp := respond(req, notes)
	raw, err = proto.MarshalOptions{Deterministic: true}.Marshal(resp)
	if err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	if _, err := out.Write(raw); err != nil {
		return fmt.Errorf("write response: %w", err)
	}
	return nil
}
