package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drayage/drayage/internal/registry"
)

func TestTagsAreListedPageByPage(t *testing.T) {
	for name, c := range map[string]struct {
		link         string
		wantTags     []string
		wantComplete bool
		wantError    bool
	}{
		"to the end":                          {link: `</v2/acme/app/tags/list?n=1000&last=b>; rel="next"`, wantTags: []string{"a", "b", "c"}, wantComplete: true},
		"not to another host":                 {link: `<http://127.0.0.2/v2/acme/app/tags/list?last=b>; rel="next"`, wantError: true},
		"not in a circle":                     {link: `</v2/acme/app/tags/list?n=1000>; rel="next"`, wantError: true},
		"no further than wanted":              {link: `</v2/acme/app/tags/list?n=1000&last=more>; rel="next"`, wantTags: []string{"a", "b", "d", "e"}},
		"not the same again":                  {link: `</v2/acme/app/tags/list?n=1000&last=same>; rel="next"`, wantTags: []string{"a", "b"}},
		"not page after empty page":           {link: `</v2/acme/app/tags/list?n=1000&last=0>; rel="next"`, wantTags: []string{"a", "b"}},
		"by a link that is written otherwise": {link: `</v2/acme/app/tags/list?last=b>; title="a; rel=prev"; rel=next`, wantTags: []string{"a", "b", "c"}, wantComplete: true},
		"by the link that is meant":           {link: `</v2/acme/app/tags/list?last=a>; rel="prev", </v2/acme/app/tags/list?last=b>; rel="next"`, wantTags: []string{"a", "b", "c"}, wantComplete: true},
		"not by a link that nobody can read":  {link: `/v2/acme/app/tags/list?last=b; rel=next`, wantError: true},
	} {
		t.Run(name, func(t *testing.T) {
			var empty atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/v2/":
				case r.URL.Query().Get("last") == "b":
					fmt.Fprint(w, `{"name":"acme/app","tags":["c"]}`)
				case r.URL.Query().Get("last") == "more":
					w.Header().Set("Link", strings.ReplaceAll(c.link, "more", "evenmore"))
					fmt.Fprint(w, `{"name":"acme/app","tags":["d","e"]}`)
				case r.URL.Query().Get("last") == "same":
					w.Header().Set("Link", strings.ReplaceAll(c.link, "same", "more"))
					fmt.Fprint(w, `{"name":"acme/app","tags":["b","a"]}`)
				case r.URL.Query().Has("last"):
					empty.Add(1)
					w.Header().Set("Link", fmt.Sprintf(`</v2/acme/app/tags/list?last=%d>; rel="next"`, empty.Load()))
					fmt.Fprint(w, `{"name":"acme/app","tags":[]}`)
				default:
					w.Header().Set("Link", c.link)
					fmt.Fprint(w, `{"name":"acme/app","tags":["a","b"]}`)
				}
			}))
			defer server.Close()
			client := registry.New(registry.Options{})
			defer client.Close()
			repository, err := client.Repository(strings.TrimPrefix(server.URL, "http://"), "acme/app", registry.Caller{})
			if err != nil {
				t.Fatal(err)
			}
			tags, complete, err := repository.Tags(t.Context(), 4)
			if !slices.Equal(tags, c.wantTags) || complete != c.wantComplete || (err != nil) != c.wantError {
				t.Errorf("tags %v, complete %t, error %v", tags, complete, err)
			}
			if n := empty.Load(); n > 100 {
				t.Errorf("%d empty pages were read", n)
			}
		})
	}
}
