package main

import (
	"strings"
	"testing"
	"time"
)

const run = `go: a message of go's own
{"Action":"output","Package":"m/a","Test":"TestQuick","Output":"=== RUN   TestQuick\n"}
{"Action":"output","Package":"m/a","Test":"TestQuick","Output":"    of no interest\n"}
{"Action":"pass","Package":"m/a","Test":"TestQuick","Elapsed":0.2}
{"Action":"output","Package":"m/a","Test":"TestLater","Output":"    a_test.go:12: it takes seconds\n"}
{"Action":"output","Package":"m/a","Test":"TestLater","Output":"--- SKIP: TestLater (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestLater","Elapsed":0}
{"Action":"skip","Package":"m/none","Elapsed":0}
{"Action":"output","Package":"m/a","Test":"TestQuick/postgres","Output":"    a_test.go:12: it needs a server\n"}
{"Action":"skip","Package":"m/a","Test":"TestQuick/postgres","Elapsed":0}
{"Action":"output","Package":"m/a","Test":"TestSlow/part","Output":"    what is wrong\n"}
{"Action":"fail","Package":"m/a","Test":"TestSlow/part","Elapsed":2}
{"Action":"output","Package":"m/a","Test":"TestSlow","Output":"--- FAIL: TestSlow (2.50s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestSlow","Elapsed":2.5}
{"Action":"output","Package":"m/a","Output":"FAIL\n"}
{"Action":"fail","Package":"m/a","Elapsed":2.8}
{"Action":"output","Package":"m/b","Test":"TestSlower","Output":"=== RUN   TestSlower\n"}
{"Action":"pass","Package":"m/b","Test":"TestSlower/side","Elapsed":30}
{"Action":"pass","Package":"m/b","Test":"TestSlower/by_side","Elapsed":20}
{"Action":"pass","Package":"m/b","Test":"TestSlower","Elapsed":0}
{"Action":"output","Package":"m/b","Test":"TestPanics","Output":"panic: oh\n"}
{"Action":"output","Package":"m/b","Output":"PASS\n"}
{"Action":"output","Package":"m/b","Output":"ok  \tm/b\t30.1s\n"}
{"Action":"pass","Package":"m/b","Elapsed":30.1}
`

func read(t *testing.T, verbose bool) string {
	t.Helper()
	var out strings.Builder
	r := newReport(&out, verbose)
	for line := range strings.Lines(run) {
		r.line([]byte(line))
	}
	r.end()
	r.table(time.Second)
	return out.String()
}

func TestTheReportShowsFailuresPackagesWhatWasSkippedAndTheSlowTests(t *testing.T) {
	const want = `go: a message of go's own
    what is wrong
--- FAIL: TestSlow (2.50s)
FAIL
ok  	m/b	30.1s
panic: oh

skipped (it takes seconds):
  a.TestLater

skipped (it needs a server): parts of tests: 1

 seconds  test
    30.0  b.TestSlower
     2.5  a.TestSlow
    32.5  in 2 tests of 1s or more; all 3 tests together took 32.7 s
`
	if got := read(t, false); got != want {
		t.Errorf("the report is\n%s\nwant\n%s", got, want)
	}
}

func TestAVerboseReportShowsWhatPasses(t *testing.T) {
	if got := read(t, true); !strings.Contains(got, "of no interest\n") {
		t.Errorf("the report is\n%s", got)
	}
}
