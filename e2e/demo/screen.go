package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// screen writes the demo's story: titles, indented lines, and colours where a
// person looks.
type screen struct {
	to     io.Writer
	colour bool
}

func newScreen(to *os.File) *screen {
	info, err := to.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &screen{to: to, colour: terminal && os.Getenv("NO_COLOR") == ""}
}

func (s *screen) style(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) faint(text string) string { return s.style("2", text) }

func (s *screen) title(text string) {
	fmt.Fprintf(s.to, "\n%s\n\n", s.style("1;36", text))
}

func (s *screen) linef(format string, args ...any) {
	s.text(fmt.Sprintf(format, args...))
}

// text writes lines, indented.
func (s *screen) text(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintln(s.to, strings.TrimRight("  "+line, " "))
	}
}

func (s *screen) table(rows [][]string) {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(columns, strings.Join(row, "\t"))
	}
	columns.Flush()
	s.text(text.String())
}

// command shows a command as a person would type it.
func (s *screen) command(program string, args []string) {
	s.linef("$ %s", s.style("1", program+" "+strings.Join(args, " \\\n      ")))
}

// follow shows what is written to another writer, line by line.
func (s *screen) follow(other io.Writer) io.Writer {
	return io.MultiWriter(other, &follower{screen: s})
}

type follower struct {
	screen *screen
	rest   string
}

func (f *follower) Write(data []byte) (int, error) {
	lines := strings.Split(f.rest+string(data), "\n")
	f.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		if shown(line) {
			f.screen.linef("%s", f.screen.faint("| "+strings.TrimRight(line, "\r")))
		}
	}
	return len(data), nil
}

// shown says whether a line of Bazel's tells the story: not how far it is.
func shown(line string) bool {
	for _, noise := range []string{"Loading:", "Analyzing:", "Computing main repo mapping:", "["} {
		if strings.HasPrefix(line, noise) {
			return false
		}
	}
	return strings.TrimSpace(line) != ""
}

// bytesOf writes a count of bytes for people.
func bytesOf(count int64) string {
	const kibi = 1024
	switch {
	case count >= kibi*kibi:
		return fmt.Sprintf("%8.1f MiB", float64(count)/kibi/kibi)
	case count >= kibi:
		return fmt.Sprintf("%8.1f KiB", float64(count)/kibi)
	default:
		return fmt.Sprintf("%8d B", count)
	}
}
