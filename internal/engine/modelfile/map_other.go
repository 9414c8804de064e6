//go:build !unix

package modelfile

func openBytes(path string) ([]byte, func() error, error) { return readAll(path) }
