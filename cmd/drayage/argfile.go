package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// expand reads the arguments from a file if @FILE is the only one: Bazel writes
// long command lines into such files.
func expand(args []string) ([]string, error) {
	if len(args) != 1 || !strings.HasPrefix(args[0], "@") {
		return args, nil
	}
	name := args[0][1:]
	data, err := os.ReadFile(name) //nolint:gosec // whoever runs the tool names the file
	if err != nil {
		return nil, fmt.Errorf("read arguments: %w", err)
	}
	args, err = words(string(data))
	if err != nil {
		return nil, fmt.Errorf("read arguments: %s: %w", name, err)
	}
	return args, nil
}

// words are those of a text in which a shell would find them, as far as Bazel's
// param file format "shell" goes: white space parts them, single quotes keep all
// that is between them, and a backslash keeps one character.
func words(text string) ([]string, error) {
	var all []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
			if inWord {
				all = append(all, word.String())
				word.Reset()
			}
			inWord = false
			continue
		case '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				return nil, errors.New("a single quote is not closed")
			}
			word.WriteString(text[i+1 : i+1+end])
			i += end + 1
		case '\\':
			if i+1 == len(text) {
				return nil, errors.New("the text must not end with a backslash")
			}
			i++
			word.WriteByte(text[i])
		default:
			word.WriteByte(c)
		}
		inWord = true
	}
	if inWord {
		all = append(all, word.String())
	}
	return all, nil
}
