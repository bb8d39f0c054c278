package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/drayage/drayage/internal/server"
)

// configured is the configuration that the daemon would have run with.
func configured(t *testing.T, file string, args ...string) server.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drayaged.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	config := server.Defaults()
	var backends []string
	flags := newFlags(&config, &backends)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := load(flags, &config, path, &backends); err != nil {
		t.Fatal(err)
	}
	return config
}

func TestFlagWinsOverTheFileAndTheFileOverTheDefault(t *testing.T) {
	got := configured(t, "workers: 3\nlisten: 127.0.0.1:1\nshutdown_grace: 7s\nbackends: [{address: 'grpc://file:1'}]\n",
		"--workers=5", "--http=127.0.0.1:2", "--backend=grpc://a:1", "--backend=grpc://b:1")
	want := server.Defaults()
	want.Workers, want.Listen, want.HTTP = 5, "127.0.0.1:1", "127.0.0.1:2"
	want.ShutdownGrace = 7e9
	want.Backends = []server.Backend{{Address: "grpc://a:1"}, {Address: "grpc://b:1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckSaysWhatIsWrongAndServesNothing(t *testing.T) {
	run := func(args ...string) (string, error) {
		var out, errs bytes.Buffer
		command := newCommand(&errs)
		command.SetOut(&out)
		command.SetArgs(append(args, "--check"))
		err := command.ExecuteContext(t.Context())
		return out.String(), err
	}
	if out, err := run("--cas=grpc://127.0.0.1:1"); err != nil || out != "The configuration is valid.\n" {
		t.Errorf("output is %q, error %v", out, err)
	}
	if _, err := run(); err == nil || !strings.Contains(err.Error(), "cas.address: must be set") {
		t.Errorf("error is %v", err)
	}
}

func TestHelpNamesTheKeyOfEveryFlag(t *testing.T) {
	config := server.Defaults()
	newFlags(&config, new([]string)).VisitAll(func(f *pflag.Flag) {
		if !strings.HasSuffix(f.Usage, ")") {
			t.Errorf("--%s does not say which key it sets: %s", f.Name, f.Usage)
		}
	})
}
