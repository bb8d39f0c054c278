package platform_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/platform"
)

func parse(t *testing.T, text string) v1.Platform {
	t.Helper()
	p, err := v1.ParsePlatform(text)
	if err != nil {
		t.Fatal(err)
	}
	return *p
}

func TestABaseCarriesWhatItsProcessorsRun(t *testing.T) {
	for _, row := range []struct {
		base, target string
		carries      bool
	}{
		{"linux/amd64", "linux/amd64", true},
		{"linux/arm64", "linux/amd64", false},
		{"linux/amd64", "linux/arm64", false},
		{"linux/386", "linux/amd64", false},
		{"windows/amd64:10.0.17763.4377", "windows/amd64", true},
		{"windows/amd64", "linux/amd64", false},
		{"linux/amd64", "windows/amd64", false},
		// Variants.
		{"linux/arm64/v8", "linux/arm64", true},
		{"linux/arm64", "linux/arm64/v8", true},
		{"linux/amd64/v3", "linux/amd64", true},
		{"linux/arm/v7", "linux/arm/v7", true},
		{"linux/arm/v6", "linux/arm/v7", true},
		{"linux/arm/v5", "linux/arm/v7", true},
		{"linux/arm", "linux/arm/v7", true},
		{"linux/arm/v8", "linux/arm/v7", false},
		{"linux/arm/v7", "linux/arm64", false},
		// What other tools write, or leave out.
		{"Linux/x86_64", "linux/amd64", true},
		{"linux/aarch64", "linux/arm64", true},
		{"linux/armhf", "linux/arm/v7", true},
		{"linux/armel", "linux/arm/v7", true},
		{"linux/i386", "linux/386", true},
		{"linux", "linux/amd64", true},
		{"windows", "linux/amd64", false},
		{"", "linux/amd64", true},
	} {
		if got := platform.Carries(parse(t, row.base), parse(t, row.target)); got != row.carries {
			t.Errorf("a base for %q carries what is for %s: %t, want %t", row.base, row.target, got, row.carries)
		}
	}
}

func TestWhatAConfigDoesNotSayAnIndexDoes(t *testing.T) {
	for _, row := range []struct{ config, index, want string }{
		{"linux/arm", "linux/arm/v6", "linux/arm/v6"},
		{"linux/arm/v7", "linux/arm/v6", "linux/arm/v7"},
		{"", "linux/arm/v6", "linux/arm/v6"},
		{"windows/amd64", "windows/amd64:10.0.17763.4377", "windows/amd64:10.0.17763.4377"},
		{"linux/amd64", "linux/arm/v6", "linux/amd64"},
		{"linux/amd64", "windows/amd64:10.0.17763.4377", "linux/amd64"},
		{"linux/x86_64", "linux/amd64/v2", "linux/x86_64/v2"},
		{"linux/arm64", "", "linux/arm64"},
	} {
		want := parse(t, row.want)
		if diff := cmp.Diff(want, platform.Fill(parse(t, row.config), parse(t, row.index))); diff != "" {
			t.Errorf("config %q, index %q (-want +got):\n%s", row.config, row.index, diff)
		}
	}
	features := v1.Platform{OS: "windows", OSFeatures: []string{"win32k"}, Features: []string{"x"}}
	if diff := cmp.Diff(features, platform.Fill(v1.Platform{OS: "windows"}, features)); diff != "" {
		t.Errorf("features (-want +got):\n%s", diff)
	}
}

func TestAPlatformsNameLeavesOutWhatIsNotSaid(t *testing.T) {
	for _, name := range []string{"linux/arm/v6", "linux/amd64", "linux", "arm64", ""} {
		p := parse(t, name)
		if name == "arm64" {
			p = v1.Platform{Architecture: name}
		}
		if got := platform.Name(p); got != name {
			t.Errorf("the name is %q, want %q", got, name)
		}
	}
}
