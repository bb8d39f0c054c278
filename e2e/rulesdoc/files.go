package rulesdoc

import (
	"os"
	"path/filepath"

	"github.com/drayage/drayage/e2e/rig"
)

// Folder is where the pages are, below the checkout, and SettingsFile is the
// page of the settings.
const (
	Folder       = "docs/rules"
	SettingsFile = "docs/settings.md"
)

// Files are all pages, by their path below the checkout. The settings' page is
// the one that is there, with the table anew.
func (r Reference) Files(t rig.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, m := range r.Modules {
		files[filepath.Join(Folder, PageName(m))] = r.Page(m)
	}
	page, err := os.ReadFile(filepath.Join(rig.Root(t), SettingsFile))
	if err != nil {
		t.Fatalf("read the page of the settings: %v", err)
	}
	if files[SettingsFile], err = r.SettingsPage(string(page)); err != nil {
		t.Fatalf("%v", err)
	}
	return files
}
