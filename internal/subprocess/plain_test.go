package subprocess_test

import (
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/subprocess"
)

func TestAComplaintIsShownWithoutWhatMayBeASecret(t *testing.T) {
	for text, want := range map[string]string{
		"log in first\n":                        "log in first",
		"no session: please run \"acme login\"": `no session: please run "acme login"`,
		"token=s3cr3t is over":                  "… is over",
		"refused eyJhbGciOi.J9.x as it is":      "refused … as it is",
		"your token: open sesame\nlog in":       "your token: … log in",
		"abcdefghijklmnopqrstuvwxyz too long":   "… too long",
		"\x1b[31mred\x1b[0m alert":              "… alert",
		"":                                      "",
		"\xff\xfe bytes":                        "bytes",
		"right\u202eleft to":                    "… to",
		"user:password@host":                    "…",
	} {
		if got := subprocess.Plain([]byte(text)); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := subprocess.Plain([]byte(strings.Repeat("word ", 10_000))); len(got) > 400 {
		t.Errorf("%d bytes are shown", len(got))
	}
}
