// Package gen holds what is generated from the contracts. Only this file and the folder pack are written by hand.
package gen

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
)

//go:embed openapi/switchyard.swagger.json.gz
var openAPI []byte

//go:embed descriptors/switchyard.binpb.gz
var descriptors []byte

// OpenAPI returns the OpenAPI 2.0 document of the REST interface, as JSON. It is unpacked anew at each call: nobody needs it often.
func OpenAPI() ([]byte, error) { return unpack(openAPI) }

// Descriptors returns a FileDescriptorSet of the contracts with their comments, which compiled descriptors lack.
func Descriptors() ([]byte, error) { return unpack(descriptors) }

func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
