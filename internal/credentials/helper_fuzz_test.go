package credentials

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
)

// FuzzHelperAnswer: what a helper prints is a credential, none, or an error that tells
// nothing of it.
func FuzzHelperAnswer(f *testing.F) {
	f.Add([]byte(`{"ServerURL":"ghcr.io","Username":"u","Secret":"hunter2hunter2"}`))
	f.Add([]byte(`{"username":"<token>","secret":"hunter2hunter2"}`))
	f.Add([]byte(`{"Username":"u","Secret":["hunter2hunter2"]}`))
	f.Fuzz(func(t *testing.T, printed []byte) {
		config, err := readAnswer(printed)
		switch {
		case err != nil && (config != authn.AuthConfig{} || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%q is %+v, %v", printed, config, err)
		case config.Username != "" && config.Password == "" && config.IdentityToken == "":
			t.Errorf("%q is a name without a password", printed)
		}
	})
}
