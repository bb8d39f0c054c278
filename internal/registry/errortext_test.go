package registry

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/google/go-containerregistry/pkg/authn"
)

func TestWhatAnErrorSaysReachesThePerson(t *testing.T) {
	for _, row := range []struct{ name, contentType, body, codes, text string }{
		{"the distribution spec's", "application/json", `{"errors":[{"code":"DENIED","message":"requested access is denied"}]}`, "DENIED", "DENIED requested access is denied"},
		{"a detail in text", "application/json", `{"errors":[{"code":"DENIED","message":"no","detail":"quota of 10 GiB exceeded"}]}`, "DENIED", "DENIED no (quota of 10 GiB exceeded)"},
		{"a detail as an object", "application/json", `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"unknown","detail":{"digest":"sha256:1"}}]}`, "MANIFEST_BLOB_UNKNOWN", `MANIFEST_BLOB_UNKNOWN unknown ({"digest":"sha256:1"})`},
		{"a detail that says it again", "application/json", `{"errors":[{"code":"DENIED","message":"no","detail":"no"}]}`, "DENIED", "DENIED no"},
		{"an empty detail", "application/json", `{"errors":[{"code":"DENIED","message":"no","detail":{}}]}`, "DENIED", "DENIED no"},
		{"several", "application/json", `{"errors":[{"code":"A","message":"a"},{"code":"B","message":"b"}]}`, "A B", "A a; B b"},
		{"a code that is a number", "application/json", `{"errors":[{"status":403,"code":403,"message":"no"}]}`, "403", "403 no"},
		{"errors that are texts", "application/json", `{"errors":["one","two"]}`, "", "one; two"},
		{"one error in the place of several", "application/json", `{"errors":{"code":"A","message":"a"}}`, "A", "A a"},
		{"a message", "application/json", `{"message":"403 Forbidden: the project is archived"}`, "", "403 Forbidden: the project is archived"},
		{"an error", "application/json", `{"error":"quota exceeded"}`, "", "quota exceeded"},
		{"an error with a description", "application/json", `{"error":"denied","error_description":"ask an owner"}`, "", "denied; ask an owner"},
		{"an error that is an object", "application/json", `{"error":{"code":403,"message":"no"}}`, "", "no"},
		{"a problem", "application/problem+json", `{"type":"about:blank","title":"Forbidden","detail":"read only"}`, "", "Forbidden; read only"},
		{"a text in JSON", "application/json", `"no"`, "", "no"},
		{"plain text", "text/plain", "name unknown\n", "", "name unknown"},
		{"a page", "text/html", "<html><head><title>413 Request Entity Too Large</title></head><body><h1>x</h1><hr>nginx</body></html>", "", "an HTML page: 413 Request Entity Too Large"},
		{"a page without a title", "text/html", "<body><script>x()</script><h1>Gone &amp; away</h1></body>", "", "an HTML page: Gone & away"},
		{"a page without anything", "text/html", "<body></body>", "", "an HTML page"},
		{"storage's", "application/xml", `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>`, "", "AccessDenied Request has expired"},
		{"bytes", "application/octet-stream", "\x00\x01", "", ""},
		{"nothing", "", "", "", ""},
		{"JSON that says nothing", "application/json", `{}`, "", ""},
	} {
		codes, text := errorText(row.contentType, []byte(row.body))
		if text != row.text || strings.Join(codes, " ") != row.codes {
			t.Errorf("%s: %q with %q, want %q with %q", row.name, text, codes, row.text, row.codes)
		}
	}
}

func TestAServersTextIsMadeFitForALine(t *testing.T) {
	c := &Client{}
	for text, want := range map[string]string{
		"two\r\nlines\tand\x00more":                   "two lines andmore",
		"\x1b[31mred\x1b[0m":                          "red",
		"\x1b]0;title\x07after":                       "after",
		"\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\": "link",
		"\u009b31mred":                                "red",
		"abc\u202egnp.exe":                            "abcgnp.exe",
		"a\u200bb\ufeffc\u2066d":                      "abcd",
		"bad \xff\xfe bytes":                          "bad ? bytes",
		"line\u2028break":                             "line break",
		"übermäßig":                                   "übermäßig",
		strings.Repeat("ä", 2000):                     strings.Repeat("ä", 250) + "…",
	} {
		if got := c.tell(text, false); got != want {
			t.Errorf("%.100q is told as %q, want %q", text, got, want)
		}
	}
}

func TestASecretIsTakenOutHoweverItComesBack(t *testing.T) {
	c := &Client{}
	const password, long = "pa/ss w0rd&", "a-token-of-some-length-"
	token := strings.Repeat(long, 100)
	c.secrets.addCredential(keychainConfig("ann", password))
	c.secrets.add(token)
	for name, text := range map[string]string{
		"as it is":         "you are ann:" + password + "!",
		"in a query":       "/v2/?password=pa%2Fss+w0rd%26",
		"in a path":        "/v2/pa%2Fss%20w0rd&/x",
		"as a header":      "Authorization: Basic YW5uOnBhL3NzIHcwcmQm",
		"a token":          "Bearer " + token,
		"hidden":           "pa/ss\u200b w0\u202erd&",
		"between escapes":  "pa/ss w0\x1b[0mr\x1b[1md&",
		"cut off":          strings.Repeat("x ", textWindow/2-20) + token,
		"many times":       strings.Repeat(token+" ", 100),
		"in the beginning": password,
	} {
		got := c.tell(text, false)
		if strings.Contains(got, "w0rd") || strings.Contains(got, long[:8]) || strings.Contains(got, "YW5uOn") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzErrorText(f *testing.F) {
	f.Add("application/json", []byte(`{"errors":[{"code":"DENIED","message":"no","detail":{"a":1}}]}`))
	f.Add("text/html", []byte("<title>x</title>"))
	f.Add("application/xml", []byte("<Error><Code>a</Code></Error>"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		c := &Client{}
		c.secrets.add("hunter2")
		_, text := errorText(contentType, body)
		told := c.tell(text, false)
		if len(told) > maxText+len("…") || !utf8.ValidString(told) || strings.Contains(told, "hunter2") {
			t.Errorf("%q is told as %q", body, told)
		}
		for _, r := range told {
			if !unicode.IsPrint(r) {
				t.Errorf("%q is told with %q", body, r)
			}
		}
	})
}

func FuzzTokenAnswers(f *testing.F) {
	f.Add([]byte(`{"token":"t","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) && len(body) > 0 {
			if answer, problem := parseToken(http.Header{}, body, testTime); answer != nil || problem == "" {
				t.Errorf("%q is %v", body, answer)
			}
			return
		}
		answer, problem := parseToken(http.Header{}, body, testTime)
		if (answer == nil) == (problem == "") || answer != nil && (answer.life <= 0 || answer.life > maxTokenLife) {
			t.Errorf("%q is %+v, %s", body, answer, problem)
		}
	})
}

var testTime = time.Unix(1_700_000_000, 0)

func keychainConfig(user, password string) authn.AuthConfig {
	return authn.AuthConfig{Username: user, Password: password}
}
