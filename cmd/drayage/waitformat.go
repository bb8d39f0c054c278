package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/table"
)

// waitReport is the end of a wait.
type waitReport struct {
	Result      waitResult `json:"result"`
	ExitCode    int        `json:"exitCode"`
	Invocations []waited   `json:"invocations"`
}

// newWaitReport sums up what was waited for.
func newWaitReport(list []waited, supersededFails bool) waitReport {
	report := waitReport{Result: waitDone, Invocations: list}
	for _, it := range list {
		report.Result = worst(report.Result, it.Result)
	}
	report.ExitCode = report.Result.exitCode()
	if report.Result == waitSuperseded && !supersededFails {
		report.ExitCode = 0
	}
	return report
}

// err is nil if the wait ended well.
func (r waitReport) err() error {
	if r.ExitCode == 0 {
		return nil
	}
	return &exitError{code: r.ExitCode, err: errors.New(string(r.Result) + ": see above")}
}

// waitFormats write a report, by the name that --format gives.
var waitFormats = map[string]func(io.Writer, waitReport) error{
	"table":  writeWaitTable,
	"json":   func(w io.Writer, report waitReport) error { return writeIndented(w, report) },
	"env":    func(w io.Writer, report waitReport) error { return writeWaitEnv(w, report, shellQuote) },
	"github": writeWaitGitHub,
}

func writeWaitTable(w io.Writer, report waitReport) error {
	for i, it := range report.Invocations {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if len(it.Pushes) > 0 {
			if err := writeTable(w, it.Pushes); err != nil {
				return err
			}
			fmt.Fprintln(w)
		}
		for _, e := range it.Missing {
			fmt.Fprintf(w, "missing: %s: %s\n", table.Printable(e.Target), missingReason(e))
		}
		label := ""
		if len(report.Invocations) > 1 {
			label = it.ID + ": "
		}
		if _, err := fmt.Fprintf(w, "%s%s: %s\n", label, it.Result, table.Printable(it.Summary)); err != nil {
			return err
		}
	}
	return nil
}

// missingReason says why a push did not come.
func missingReason(e ledger.Expected) string {
	reason := e.Reason
	switch {
	case reason != "":
	case e.State == ledger.ExpectedAwaited:
		reason = "the build ended, or broke off, before Bazel said what became of it"
	default:
		reason = "Bazel does not say why"
	}
	return string(e.State) + ": " + table.Printable(firstLine(reason))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// writeWaitEnv writes variables. With several invocations they are about all together.
func writeWaitEnv(w io.Writer, report waitReport, quote func(string) string) error {
	var invocations, images, staged, missing []string
	for _, it := range report.Invocations {
		invocations = append(invocations, it.ID)
		for _, e := range it.Missing {
			missing = append(missing, e.Target)
		}
		images = append(images, imagesOf(it.Pushes, ledger.Outcome.Good)...)
		staged = append(staged, imagesOf(it.Pushes, keepsTagsBack)...)
	}
	for _, v := range []struct{ name, value string }{
		{"DRAYAGE_RESULT", string(report.Result)},
		{"DRAYAGE_EXIT_CODE", fmt.Sprint(report.ExitCode)},
		{"DRAYAGE_INVOCATIONS", strings.Join(invocations, " ")},
		{"DRAYAGE_IMAGES", strings.Join(images, " ")},
		{"DRAYAGE_STAGED", strings.Join(staged, " ")},
		{"DRAYAGE_MISSING", strings.Join(missing, " ")},
	} {
		if _, err := fmt.Fprintf(w, "%s=%s\n", v.name, quote(v.value)); err != nil {
			return err
		}
	}
	return nil
}

// keepsTagsBack says that an image is in its registry without its tags.
func keepsTagsBack(outcome ledger.Outcome) bool {
	return outcome == ledger.Staged || outcome == ledger.Withheld
}

// imagesOf are the images of the rows with such an outcome, as references by digest.
func imagesOf(entries []ledger.Entry, wanted func(ledger.Outcome) bool) []string {
	var images []string
	for _, e := range entries {
		if wanted(e.Outcome) {
			images = append(images, e.Registry+"/"+e.Repository+"@"+e.Digest)
		}
	}
	return images
}

// shellQuote writes a value as every shell, and every reader of .env files, reads it.
func shellQuote(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// writeWaitGitHub writes annotations for what ended badly, the table, and, where the step
// has a file for its outputs, the variables, in lower case, as outputs.
func writeWaitGitHub(w io.Writer, report waitReport) error {
	for _, it := range report.Invocations {
		for _, e := range it.Pushes {
			if e.Outcome.Bad() {
				annotate(w, "error", e.Target, fmt.Sprintf("%s: %s", e.Outcome, e.Error))
			}
			switch e.Outcome {
			case ledger.Superseded:
				annotate(w, "warning", e.Target, "superseded: a newer build has the tag")
			case ledger.RolledBack:
				annotate(w, "warning", e.Target, "rolled-back: its tags were moved back")
			case ledger.Staged:
				annotate(w, "notice", e.Target, "staged: the image is in its registry by its digest, and its tags wait: "+strings.Join(e.HeldTags, ", "))
			default:
			}
		}
		for _, e := range it.Missing {
			annotate(w, "error", e.Target, missingReason(e))
		}
		if it.Result.exitCode() != 0 {
			annotate(w, "error", "drayage wait", fmt.Sprintf("%s: %s: %s", it.ID, it.Result, it.Summary))
		}
	}
	if err := writeWaitTable(w, report); err != nil {
		return err
	}
	name := os.Getenv("GITHUB_OUTPUT")
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600) //nolint:gosec // the runner names the file
	if err != nil {
		return fmt.Errorf("write the outputs of the step: %w", err)
	}
	var variables strings.Builder
	_ = writeWaitEnv(&variables, report, oneLine) // it cannot fail
	for line := range strings.Lines(variables.String()) {
		name, value, _ := strings.Cut(line, "=")
		if _, err := fmt.Fprintf(file, "%s=%s", strings.ToLower(strings.TrimPrefix(name, "DRAYAGE_")), value); err != nil {
			_ = file.Close()
			return fmt.Errorf("write the outputs of the step: %w", err)
		}
	}
	return file.Close()
}

// annotate writes one of GitHub's workflow commands.
func annotate(w io.Writer, level, title, message string) {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	fmt.Fprintf(w, "::%s title=%s::%s\n", level, property.Replace(title), data.Replace(message))
}

// oneLine keeps a value from being more than one.
func oneLine(value string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(value) }
