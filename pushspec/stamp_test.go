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

func TestVariablesAreListedOnceInOrder(t *testing.T) {
	d := pushspec.Destination{Repository: "{TEAM}/app", Tags: []string{"{B}-{A}", "{A}"}}
	if got, want := d.Variables(), []string{"TEAM", "B", "A"}; !slices.Equal(got, want) {
		t.Errorf("variables are %q, want %q", got, want)
	}
}
