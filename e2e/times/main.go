// Command times prints what `go test -json` writes on its input as `go test` would
// have printed it, and then which tests took how long:
//
//	go test -json ./e2e/... | go run ./e2e/times -from 1s
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	from := flag.Duration("from", time.Second, "list the tests that took at least this")
	verbose := flag.Bool("v", false, "print what tests that pass print, too")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	r := newReport(out, *verbose)
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		r.line(line)
		if err != nil {
			break // what has failed says so itself: the exit code is that of go test
		}
		_ = out.Flush()
	}
	r.end()
	r.table(*from)
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "times:", err)
		os.Exit(1)
	}
}
