package haul

import (
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// shown remembers which clients have shown which bytes: they were read out of the cache
// for a push of theirs, and had the right digest. Whoever has shown bytes gains none when
// they are mounted, wherever from.
type shown struct {
	// seen has the client in the place of a repository.
	seen *presence
}

func newShown(now func() time.Time) shown {
	return shown{newPresence(now, presenceLimit, presenceLife)}
}

func (s shown) add(client string, digest v1.Hash) {
	s.seen.add(address{repository: client}, digest, client)
}

func (s shown) by(client string, digest v1.Hash) bool {
	return client != "" && s.seen.has(address{repository: client}, digest)
}
