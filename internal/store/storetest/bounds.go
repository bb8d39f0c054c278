package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// However many streams bring it.
func whatIsMergedOfAnInvocationIsBounded(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	save := func(key, value string) {
		t.Helper()
		if err := s.SaveInvocation(t.Context(), store.Invocation{ID: "inv", Metadata: map[string]string{key: value}}); err != nil {
			t.Fatal(err)
		}
	}
	save("FIRST", "kept")
	for n := range 20 {
		save(fmt.Sprint("K", n), strings.Repeat("x", 30<<10))
	}
	save("FIRST", "new")
	i, _, err := s.Invocation(t.Context(), "inv")
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for key, value := range i.Metadata {
		size += len(key) + len(value)
	}
	if size > 128<<10 || size < 64<<10 || i.Metadata["FIRST"] != "new" {
		t.Errorf("%d bytes are kept, and FIRST is %q", size, i.Metadata["FIRST"])
	}
}
