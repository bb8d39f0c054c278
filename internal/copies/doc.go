// Package copies makes push specs of images that are in a registry, so that they can be
// hauled to another repository: by digest, with all that refers to them. It reads
// manifests; layers stay where they are until the haul mounts or streams them.
package copies
