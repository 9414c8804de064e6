// Package gen holds what is generated from the contracts. Only this file is written by hand.
package gen

import _ "embed"

// OpenAPI is the OpenAPI 2.0 document of the REST interface, as JSON.
//
//go:embed openapi/switchyard.swagger.json
var OpenAPI []byte

// Descriptors is a FileDescriptorSet of the contracts with their comments, which compiled descriptors lack.
//
//go:embed descriptors/switchyard.binpb
var Descriptors []byte
