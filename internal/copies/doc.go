// Package copies makes push specs for images that are in a registry, so that a haul can
// copy them to another repository: by digest, and with their referrers. It reads only
// manifests. Layers stay in the registry until the haul mounts or streams them.
package copies
