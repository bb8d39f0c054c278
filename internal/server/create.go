package server

import (
	"context"
	"slices"

	"github.com/drayage/drayage/internal/ecr"
	"github.com/drayage/drayage/internal/haul"
)

// creates makes repositories in the registries that are to have them made, or is nil.
func (c *Config) creates() func(ctx context.Context, registry, repository string) (bool, error) {
	if len(c.CreateRepositories) == 0 {
		return nil
	}
	return func(ctx context.Context, registry, repository string) (bool, error) {
		account, region, ok := haul.AmazonHost(registry)
		if !ok || !slices.Contains(c.CreateRepositories, registry) {
			return false, nil
		}
		return true, ecr.Create(ctx, account, region, repository)
	}
}
