package e2e_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/e2e/rig"
)

// A registry lets in who has a token, and docker's configuration says how to come
// by one.
func TestAPrivateBaseIsPulledWithDockersCredentials(t *testing.T) {
	t.Parallel()
	tokens := rig.StartTokenService(t, time.Hour)
	registry := rig.StartTokenRegistry(t, tokens)
	digest, _ := pushBase(t, registry.Host, remote.WithAuth(authn.FromConfig(authn.AuthConfig{Username: tokens.User, Password: tokens.Password})))

	bin, config := t.TempDir(), t.TempDir()
	helper := fmt.Sprintf("#!/bin/sh\nread -r host\n[ \"$1 $host\" = 'get %s' ] && echo '{\"Username\": %q, \"Secret\": %q}'\n", registry.Host, tokens.User, tokens.Password)
	check(t, os.WriteFile(filepath.Join(bin, "docker-credential-e2e"), []byte(helper), 0o755))
	w := baseWorkspace(t, registry.Host, digest)
	w.Env = append(w.Env, "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "DOCKER_CONFIG="+config)
	configure := func(text string) {
		check(t, os.WriteFile(filepath.Join(config, "config.json"), []byte(text), 0o600))
	}

	configure(`{}`)
	result := w.TryBazel(t, "build", "@base//...")
	if result.ExitCode == 0 || !strings.Contains(result.Stderr, "@base: pull "+registry.Host+"/library/base: ") || !strings.Contains(result.Stderr, "401 Unauthorized") {
		t.Errorf("without credentials: exit code %d\n%s", result.ExitCode, result.Stderr)
	}
	if strings.Contains(result.Stderr, tokens.Password) {
		t.Errorf("the message has the password in it:\n%s", result.Stderr)
	}

	configure(fmt.Sprintf(`{"credHelpers": {%q: "e2e"}}`, registry.Host))
	w.Bazel(t, "build", "@base//...")

	configure(fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, registry.Host, base64.StdEncoding.EncodeToString([]byte(tokens.User+":"+tokens.Password))))
	w.Bazel(t, "fetch", "--force", "--repo=@base")
}
