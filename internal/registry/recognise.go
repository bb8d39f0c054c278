package registry

import (
	"net/http"
	"slices"
	"strings"
)

// recognisable are registries that run under any host name and say what they are: a
// header of their answers has this name, and begins so.
var recognisable = []struct {
	// prefix begins the value; an empty one is any value.
	header, prefix string
	Quirks
}{
	{"X-Artifactory-Id", "", artifactory},
	{"X-Artifactory-Node-Id", "", artifactory},
	{"X-Jfrog-Version", "Artifactory", artifactory},
	{"Server", "Artifactory", artifactory},
}

// recognise takes a registry's quirks from one of its answers, where its host name
// told nothing.
func (h *host) recognise(header http.Header) {
	if _, given := h.client.opts.Quirks[h.name.RegistryStr()]; given || h.quirks().name != "" {
		return
	}
	for _, row := range recognisable {
		values := header.Values(row.header)
		if !slices.ContainsFunc(values, func(v string) bool { return strings.HasPrefix(v, row.prefix) }) {
			continue
		}
		quirks := row.Quirks
		h.client.opts.Hosts[h.name.RegistryStr()].Settings.apply(&quirks)
		h.traits.Store(&quirks)
		h.client.opts.Logger.Debug().Str("registry", h.name.RegistryStr()).Str("is", quirks.name).Msg("registry was recognised")
		return
	}
}
