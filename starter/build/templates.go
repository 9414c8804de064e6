package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// templates are sentences with slots, written for this project.
type templates struct {
	spam, ham []string
	slots     map[string][]string
}

func loadTemplates(dir string) (*templates, error) {
	t := &templates{slots: map[string][]string{}}
	var err error
	if t.spam, err = lines(filepath.Join(dir, "spam.txt")); err != nil {
		return nil, err
	}
	if t.ham, err = lines(filepath.Join(dir, "ham.txt")); err != nil {
		return nil, err
	}
	slots, err := lines(filepath.Join(dir, "slots.txt"))
	if err != nil {
		return nil, err
	}
	for _, line := range slots {
		name, values, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("slots.txt: %q is not name: value|value", line)
		}
		t.slots[name] = strings.Split(values, "|")
	}
	return t, nil
}

func lines(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out, nil
}

var (
	choice = regexp.MustCompile(`\[([^\]]*)\]`)
	slot   = regexp.MustCompile(`\{([a-z]+)\}`)
)

// fill picks one reading of a template. Capitals and end marks vary, so that the model does not learn them instead of the words.
func (t *templates) fill(template string, random *rand.Rand) string {
	pick := func(options []string) string { return options[random.IntN(len(options))] }
	text := choice.ReplaceAllStringFunc(template, func(m string) string { return pick(strings.Split(m[1:len(m)-1], "|")) })
	text = slot.ReplaceAllStringFunc(text, func(m string) string {
		if values := t.slots[m[1:len(m)-1]]; len(values) > 0 {
			return pick(values)
		}
		return m
	})
	return text + pick([]string{"", "", ".", "!"})
}
