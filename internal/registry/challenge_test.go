package registry

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChallenges(t *testing.T) {
	for header, want := range map[string]challenge{
		`Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push"`: {"bearer",
			map[string]string{"realm": "https://auth.example/token", "service": "r", "scope": "repository:a/b:pull,push"}},
		`Basic realm="x"`:                                   {"basic", map[string]string{"realm": "x"}},
		`Negotiate, Basic realm="x"`:                        {"basic", map[string]string{"realm": "x"}},
		`Basic realm="x", Bearer realm="y" , service = "z"`: {"bearer", map[string]string{"realm": "y", "service": "z"}},
		`BEARER Realm="a\"b"`:                               {"bearer", map[string]string{"realm": `a"b`}},
		`Bearer service="no realm"`:                         {},
		`Digest x`:                                          {},
		``:                                                  {},
		`Bearer realm="` + strings.Repeat("x", 10_000) + `"`: {},
	} {
		got, _ := pickChallenge(http.Header{"Www-Authenticate": {header}})
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(challenge{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", header, diff)
		}
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://auth.example/token",service="r"`)
	f.Add(`Basic realm="x", Negotiate ,,= "`)
	f.Fuzz(func(t *testing.T, header string) {
		for _, c := range parseChallenges(header) {
			if c.scheme == "" {
				t.Errorf("%q holds a challenge without a scheme", header)
			}
		}
	})
}
