package haul_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

func TestARepositoryThatDoesNotExistIsNamed(t *testing.T) {
	absent := func(_ *http.Request) *registrytest.Fault {
		return &registrytest.Fault{Status: http.StatusNotFound, Code: "NAME_UNKNOWN"}
	}
	fake, server := registrytest.Start(t, registrytest.Rules{Fault: absent}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 10))
	_, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec))
	failed := wantClass(t, err, haul.Rejected)
	if want := "; the repository acme/app does not exist in " + fake.Host + ": create acme/app there"; !strings.Contains(failed.Text, want) {
		t.Errorf("the text is %q, without %q", failed.Text, want)
	}

	// A base's repository is not the one to create.
	to := registrytest.Start(t, registrytest.Rules{})
	spec = image(t, server, to.Host, "acme/app", []string{"v1"}, noise(2, 10))
	spec.Blobs[0].Sources = []pushspec.Source{{Repository: fake.Host + "/library/ubuntu"}}
	_, err = impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec))
	if failed := wantClass(t, err, haul.Evicted); strings.Contains(failed.Text, "create") {
		t.Errorf("the text is %q", failed.Text)
	}
}
