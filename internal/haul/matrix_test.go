package haul_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/registry/registrytest"
)

var update = flag.Bool("update", false, "write the fault matrix of docs/haul.md anew")

// tell says how a push went, beside one in which nothing went wrong.
func (request matrixRequest) tell(outcome string, trace, clean []registrytest.Exchange) string {
	count := func(trace []registrytest.Exchange) (names []string, times map[string]int, bytes int64) {
		times = map[string]int{}
		for _, e := range trace {
			if times[e.Request]++; times[e.Request] == 1 {
				names = append(names, e.Request)
			}
			if e.Sent > 1000 && strings.HasSuffix(e.Request, " upload") {
				bytes += e.Sent
			}
		}
		return names, times, bytes
	}
	names, times, bytes := count(trace)
	_, before, bytesBefore := count(clean)
	text := outcome
	if n := times[request.name]; n != before[request.name] {
		text += ", asked " + timesText(n)
	}
	var more []string
	for _, name := range names {
		if n := times[name] - before[name]; n > 0 && name != request.name {
			one := "`" + name + "`"
			if n > 1 {
				one += " " + timesText(n)
			}
			more = append(more, one)
		}
	}
	if len(more) > 0 {
		text += "; more: " + strings.Join(more, ", ")
	}
	if bytes > bytesBefore && (bytesBefore > 0 || bytes > matrixLayer) {
		text += fmt.Sprintf("; the layer's bytes %.1f times", float64(bytes)/matrixLayer)
	}
	return text
}

func timesText(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// rows are the matrix's of one kind of request, in Markdown.
func (request matrixRequest) rows(t *testing.T) string {
	t.Helper()
	outcome, clean := matrixPush(t, request, nil, 0)
	if outcome != "pushed" || !slices.ContainsFunc(clean, func(e registrytest.Exchange) bool { return e.Request == request.name }) {
		t.Fatalf("the push for %s is %s, with %v", request.name, outcome, clean)
	}
	type row struct{ once, always string }
	var rows []row
	answers := map[row][]string{}
	for _, answer := range matrixAnswers() {
		if slices.ContainsFunc(request.not, func(part string) bool { return strings.Contains(answer.name, part) }) {
			continue
		}
		outcome, trace := matrixPush(t, request, &answer, 1)
		one := row{once: request.tell(outcome, trace, clean)}
		outcome, trace = matrixPush(t, request, &answer, 0)
		one.always = request.tell(outcome, trace, clean)
		if answers[one] == nil {
			rows = append(rows, one)
		}
		answers[one] = append(answers[one], answer.name)
	}
	var text strings.Builder
	for i, r := range rows {
		name := ""
		if i == 0 {
			name = "`" + request.name + "`"
		}
		always := r.always
		if always == r.once {
			always = "the same"
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", name, strings.Join(answers[r], "; "), r.once, always)
	}
	return text.String()
}

// matrix is the table, in Markdown.
func matrix(t *testing.T) string {
	t.Helper()
	requests := matrixRequests()
	rows := make([]string, len(requests))
	t.Run("rows", func(t *testing.T) {
		for i, request := range requests {
			t.Run(request.name, func(t *testing.T) {
				t.Parallel()
				rows[i] = request.rows(t)
			})
		}
	})
	return "| request | answer | once | always |\n| --- | --- | --- | --- |\n" + strings.Join(rows, "")
}

const (
	matrixFile  = "../../docs/haul.md"
	matrixBegin = "<!-- The table is written by go test ./internal/haul -run FaultMatrix -update -->\n"
	matrixEnd   = "<!-- end of the table -->\n"
)

// The page's table is what the hauler does, not what somebody thinks that it does.
func TestTheFaultMatrixIsTrue(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	page, err := os.ReadFile(matrixFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), matrixBegin)
	told, after, ended := strings.Cut(rest, matrixEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", matrixFile)
	}
	want := matrix(t)
	if told == want {
		return
	}
	if *update {
		if err := os.WriteFile(matrixFile, []byte(before+matrixBegin+want+matrixEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	toldLines, wantLines := strings.Split(told, "\n"), strings.Split(want, "\n")
	for _, line := range wantLines {
		if !slices.Contains(toldLines, line) {
			t.Errorf("%s lacks\n%s", matrixFile, line)
		}
	}
	for _, line := range toldLines {
		if !slices.Contains(wantLines, line) {
			t.Errorf("%s has what is no longer so:\n%s", matrixFile, line)
		}
	}
	t.Error("write it anew: go test ./internal/haul -run FaultMatrix -update")
}
