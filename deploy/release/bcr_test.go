package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"
)

// What is handed in at the Bazel Central Registry names things of a release.
func TestTheRegistrysEntryFitsTheRelease(t *testing.T) {
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(root, "deploy", "bcr", name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}

	var source struct {
		URL         string `json:"url"`
		StripPrefix string `json:"strip_prefix"`
	}
	if err := json.Unmarshal(read("source.template.json"), &source); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{TAG}", "v1.2.3", "{VERSION}", "1.2.3", "{version}", "1.2.3", "{file}", "drayage-1.2.3.tar.gz")
	if got, want := fill.Replace(source.URL), fill.Replace(defaultURL); got != want {
		t.Errorf("the entry's archive is %s, the release's %s", got, want)
	}
	if source.StripPrefix != "drayage-{VERSION}" {
		t.Errorf("the entry strips %s", source.StripPrefix)
	}

	type matrix struct {
		Platform, Bazel []string
	}
	var presubmit struct {
		Matrix matrix
		Module struct {
			Path   string `yaml:"module_path"`
			Matrix matrix
		} `yaml:"bcr_test_module"`
	}
	if err := yaml.Unmarshal(read("presubmit.yml"), &presubmit); err != nil {
		t.Fatal(err)
	}
	for _, m := range []matrix{presubmit.Matrix, presubmit.Module.Matrix} {
		if !slices.Equal(m.Bazel, []string{"7.x", "8.x", "9.x"}) || len(m.Platform) == 0 {
			t.Errorf("the presubmit runs on %v with Bazel %v", m.Platform, m.Bazel)
		}
	}
	if !slices.Contains(parts, presubmit.Module.Path) {
		t.Errorf("the presubmit tests %s, which is not in the archive", presubmit.Module.Path)
	}

	var metadata struct {
		Repository []string `json:"repository"`
	}
	if err := json.Unmarshal(read("metadata.template.json"), &metadata); err != nil {
		t.Fatal(err)
	}
	for _, repository := range metadata.Repository {
		if host := strings.Replace(repository, "github:", "https://github.com/", 1); !strings.HasPrefix(defaultURL, host+"/") {
			t.Errorf("a release is at %s, which is not below %s", defaultURL, host)
		}
	}
}
