package pushspec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/drayage/pushspec"
)

func ExampleDestination_Stamp() {
	d := pushspec.Destination{
		Registry:   "ghcr.io",
		Repository: "acme/app",
		Tags:       []string{"latest", "git-{BUILD_SCM_REVISION}"},
	}
	stamped, err := d.Stamp(map[string]string{"BUILD_SCM_REVISION": "6a14a96"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stamped.Tags)
	// Output: [latest git-6a14a96]
}

func TestTagsThatBecomeEqualAreOne(t *testing.T) {
	d := pushspec.Destination{Repository: "app", Tags: []string{"v1", "{VERSION}", "{OTHER}"}}
	stamped, err := d.Stamp(map[string]string{"VERSION": "v1", "OTHER": "v2"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"v1", "v2"}; !slices.Equal(stamped.Tags, want) {
		t.Errorf("tags are %q, want %q", stamped.Tags, want)
	}
}

func TestStampingFailsWithWhatToDo(t *testing.T) {
	for _, row := range []struct {
		name, repository, tag, want string
	}{
		{"a variable that is not set", "app", "{STABLE_VERSION}", "set it with --workspace_status_command"},
		{"a variable that is empty", "app", "{EMPTY}", "\"{EMPTY}\" needs EMPTY"},
		{"a value that makes no tag", "app", "{BRANCH}", "stamp tag: \"{BRANCH}\", with its variables filled in: \"feature/x\" must be a tag"},
		{"a value that makes no repository", "{UPPER}", "v1", "stamp repository: \"{UPPER}\", with its variables filled in: \"A\" must be a repository name"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := pushspec.Destination{Repository: row.repository, Tags: []string{row.tag}}
			_, err := d.Stamp(map[string]string{"BRANCH": "feature/x", "EMPTY": "", "UPPER": "A"})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error is %v, want it to contain %q", err, row.want)
			}
		})
	}
}

func TestAVariableWithoutAValueIsItsDefault(t *testing.T) {
	vars := map[string]string{"BRANCH": "feature/x", "EMPTY": "", "DOTS": "...", "VERSION": "v2"}
	for template, want := range map[string]string{
		"{VERSION:-dev}":              "v2",
		"{EMPTY:-dev}":                "dev",
		"{NONE:-v0.0.0_dev-1}":        "v0.0.0_dev-1",
		"{BRANCH|slug}":               "feature-x",
		"{BRANCH|slug:-main}":         "feature-x",
		"{NONE|slug:-Main}":           "Main", // a default is what it says
		"{DOTS|slug:-main}":           "main",
		"git-{NONE:-none}.{VERSION}":  "git-none.v2",
		"{BRANCH|slug}-{BRANCH|slug}": "feature-x-feature-x",
	} {
		if got, err := pushspec.Stamp(template, vars); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", template, got, err, want)
		}
	}
	d := pushspec.Destination{Repository: "{TEAM:-acme/core}/{BRANCH|slug}", Tags: []string{"{NONE:-latest}", "latest"}}
	stamped, err := d.Stamp(vars)
	if err != nil || stamped.Repository != "acme/core/feature-x" || !slices.Equal(stamped.Tags, []string{"latest"}) {
		t.Errorf("the destination is %+v (%v)", stamped, err)
	}
}

func TestASlugOfNothingSaysWhatToDo(t *testing.T) {
	_, err := pushspec.Stamp("git-{BRANCH|slug}", map[string]string{"BRANCH": "///"})
	want := `"git-{BRANCH|slug}" needs BRANCH, but a slug of "///" has nothing left: give it a letter or a digit, or the variable a default, as in {BRANCH|slug:-none}`
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}

func TestVariablesAreListedOnceInOrder(t *testing.T) {
	d := pushspec.Destination{Repository: "{TEAM}/app", Tags: []string{"{B}-{A}", "{A}", "{C|slug}", "{A:-x}", "{D|slug:-x}"}}
	if got, want := d.Variables(), []string{"TEAM", "B", "A", "C", "D"}; !slices.Equal(got, want) {
		t.Errorf("variables are %q, want %q", got, want)
	}
}
