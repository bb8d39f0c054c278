package operator_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

// FuzzParameters: a query that is read is written and read again as the same.
func FuzzParameters(f *testing.F) {
	f.Add("digest=sha256:ab&registry=ghcr.io&since=2026-01-31&limit=10&before=7")
	f.Add("since=0000-01-01T00:00:00%2B23:59")
	f.Add("limit=9223372036854775807&after=1")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		if page, err := operator.DecodePage(values, "after", "before"); err == nil && (page.Limit < 1 || page.Limit > ledger.MaxLimit || page.After < 0) {
			t.Errorf("%q is the page %+v", text, page)
		}
		query, err := operator.DecodeQuery(values)
		if err != nil {
			return
		}
		if query.Limit < 0 || query.Before < 0 {
			t.Errorf("%q is %+v", text, query)
		}
		again, err := operator.DecodeQuery(operator.EncodeQuery(query))
		if diff := cmp.Diff(query, again); err != nil || diff != "" {
			t.Errorf("%q is read again as %v\n%s", text, err, diff)
		}
	})
}
