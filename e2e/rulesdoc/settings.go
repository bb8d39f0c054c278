package rulesdoc

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/go-json-experiment/json"
)

// Setting is a build flag of the rules.
type Setting struct {
	Name string
	// Kind is the rule that makes it, such as string_flag.
	Kind string
	// Values are the allowed ones; none: any.
	Values  []string
	Default string
	// Doc is the comment above it in the BUILD file.
	Doc string
}

// settings are the flags below rules/settings, as Bazel knows them. Build
// settings have no attribute for a docstring: theirs is the comment above them.
func settings(t rig.T, w *rig.Workspace) []Setting {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rig.Root(t), "rules", "settings", "BUILD.bazel"))
	if err != nil {
		t.Fatalf("read the settings: %v", err)
	}
	found, err := decodeSettings(w.Bazel(t, "query", "--output=streamed_jsonproto", "@drayage//rules/settings:all").Stdout)
	if err != nil {
		t.Fatalf("%v", err)
	}
	comments := commentsOf(string(text))
	for i := range found {
		found[i].Doc = comments[found[i].Name]
	}
	return found
}

// decodeSettings reads the targets of a query that have a build setting's
// default.
func decodeSettings(output string) ([]Setting, error) {
	var found []Setting
	for line := range strings.Lines(output) {
		var target struct {
			Rule struct {
				Name      string
				RuleClass string `json:"ruleClass"`
				Attribute []struct {
					Name            string
					StringValue     string   `json:"stringValue"`
					IntValue        int      `json:"intValue"`
					StringListValue []string `json:"stringListValue"`
					Type            string
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &target, json.MatchCaseInsensitiveNames(true)); err != nil {
			return nil, fmt.Errorf("read a target of rules/settings: %w", err)
		}
		_, name, _ := strings.Cut(target.Rule.Name, "//rules/settings:")
		setting := Setting{Name: name, Kind: target.Rule.RuleClass}
		isSetting := false
		for _, a := range target.Rule.Attribute {
			switch a.Name {
			case "build_setting_default":
				isSetting = true
				setting.Default = a.StringValue
				if a.Type == "INTEGER" {
					setting.Default = fmt.Sprint(a.IntValue)
				}
			case "values":
				setting.Values = a.StringListValue
			}
		}
		if isSetting {
			found = append(found, setting)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("rules/settings has no build settings: the query said %q", output)
	}
	slices.SortFunc(found, func(a, b Setting) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
}

var targetName = regexp.MustCompile(`^    name = "([^"]+)",$`)

// commentsOf are the comments right above the targets of a BUILD file, by the
// target's name. The file is formatted as buildifier does it.
func commentsOf(build string) map[string]string {
	comments := map[string]string{}
	var comment []string
	for line := range strings.Lines(build) {
		line = strings.TrimSuffix(line, "\n")
		if text, found := strings.CutPrefix(line, "#"); found {
			comment = append(comment, strings.TrimSpace(text))
			continue
		}
		if match := targetName.FindStringSubmatch(line); match != nil {
			comments[match[1]] = strings.Join(comment, "\n")
		}
		if line == "" || line == ")" {
			comment = nil
		}
	}
	return comments
}

// The lines of docs/settings.md that the table is between.
const (
	settingsBegin = "<!-- `make generate` writes this table from rules/settings/BUILD.bazel. -->\n"
	settingsEnd   = "<!-- The end of the table. -->\n"
)

// SettingsPage is docs/settings.md with the table of r in it.
func (r Reference) SettingsPage(page string) (string, error) {
	before, rest, found := strings.Cut(page, settingsBegin)
	_, after, ended := strings.Cut(rest, settingsEnd)
	if !found || !ended {
		return "", fmt.Errorf("put the settings into their page: it has no lines %q and %q", settingsBegin, settingsEnd)
	}
	var b strings.Builder
	b.WriteString("| flag | values | default | what it does |\n| --- | --- | --- | --- |\n")
	for _, s := range r.Settings {
		fmt.Fprintf(&b, "| <a id=\"%s\"></a>`--@drayage//rules/settings:%s` | %s | %s | %s |\n", s.Name, s.Name, s.values(), s.byDefault(), cell(s.Doc))
	}
	return before + settingsBegin + b.String() + settingsEnd + after, nil
}

func (s Setting) values() string {
	switch {
	case len(s.Values) > 0:
		quoted := make([]string, len(s.Values))
		for i, value := range s.Values {
			quoted[i] = code(value)
		}
		return strings.Join(quoted, ", ")
	case strings.HasPrefix(s.Kind, "bool"):
		return "`true`, `false`"
	case strings.HasPrefix(s.Kind, "int"):
		return "a number"
	case strings.HasPrefix(s.Kind, "label"):
		return "a label"
	default:
		return "text"
	}
}

func (s Setting) byDefault() string {
	if s.Default == "" {
		return "none"
	}
	return code(s.Default)
}
