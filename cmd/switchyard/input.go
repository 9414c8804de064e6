package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// maxInput bounds what a client command reads as one text; the server's limit of 100,000 characters is smaller.
const maxInput = 1 << 20

// readText returns the text to decide about: the argument, else the file, else standard input.
func readText(c *cobra.Command, args []string, file string) (string, error) {
	if len(args) > 0 && file != "" {
		return "", usagef("give the text as an argument or with --file, not both")
	}
	if len(args) > 0 {
		return strings.Join(args, " "), nil
	}
	in := c.InOrStdin()
	name := "standard input"
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		in, name = f, file
	} else if isTerminal(in) {
		fmt.Fprintln(c.ErrOrStderr(), "reading the text from the terminal; end with Ctrl-D")
	}
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxInput {
		return "", fmt.Errorf("%s has more than %d bytes", name, maxInput)
	}
	data = bytes.TrimRight(data, "\r\n")
	if len(bytes.TrimSpace(data)) == 0 {
		return "", fmt.Errorf("%s holds no text", name)
	}
	if !utf8.Valid(data) {
		return "", fmt.Errorf("%s is not valid UTF-8", name)
	}
	return string(data), nil
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
