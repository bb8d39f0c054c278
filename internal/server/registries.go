package server

import "github.com/drayage/drayage/internal/registry"

// registrySettings are what the configuration says that registries can.
func registrySettings(registries []Registry) map[string]registry.Settings {
	settings := map[string]registry.Settings{}
	for _, r := range registries {
		settings[r.Host] = registry.Settings{
			Mounts: r.Mounts, Chunk: r.Chunk, TagsQuery: r.TagsQuery, ReferrersAPI: r.ReferrersAPI, Head: r.Head, DeniesUnknown: r.DeniesUnknown,
		}
	}
	return settings
}
