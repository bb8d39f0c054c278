package haul_test

import (
	"math/rand/v2"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
)

type keychain authn.AuthConfig

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(k)), nil
}

// dice decides by a seed, for all requests of a test.
type dice struct {
	mu sync.Mutex
	*rand.Rand
}

func newDice(seed uint64) *dice { return &dice{Rand: rand.New(rand.NewPCG(seed, 4))} }

func (d *dice) hit(chance float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Float64() < chance
}

func (d *dice) upTo(n int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Int64N(max(1, n))
}
