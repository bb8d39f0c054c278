package operator

import (
	"context"
	"time"
)

// Paths of the registries' part of the API.
const (
	RegistriesPath    = "/api/v1/registries"
	LiftRegistryPath  = RegistriesPath + "/lift"
	DrainRegistryPath = RegistriesPath + "/drain"
	BlockRegistryPath = RegistriesPath + "/block"
	OpenRegistryPath  = RegistriesPath + "/open"
)

// Registry is how things stand with one registry host. Requests, pushes, the pace, the
// pause and the last answer are those of the daemon that is asked; the rest holds for all
// daemons that share its database.
type Registry struct {
	Registry string `json:"registry"`
	// State is open, drained (no push begins) or blocked (no request is sent).
	State string `json:"state"`
	// By is the client who drained, blocked or opened it last, at Since.
	By    string    `json:"by,omitzero"`
	Since time.Time `json:"since,omitzero"`
	// Pause is there while the registry is left alone because it asked for that.
	Pause *Pause `json:"pause,omitzero"`
	// UnderWay and Waiting count requests. Pushes counts those under way, and Jobs those
	// that wait for the registry.
	UnderWay int `json:"underWay"`
	Waiting  int `json:"waiting"`
	Pushes   int `json:"pushes"`
	Jobs     int `json:"jobs"`
	// Small and Large are how many requests of that size may be under way at once, or 0
	// before the first. Rate bounds the requests a second; 0 is no bound.
	Small int     `json:"small,omitzero"`
	Large int     `json:"large,omitzero"`
	Rate  float64 `json:"rate,omitzero"`
	// LastAnswer is when it last took bytes or gave an answer that did not ask for
	// patience.
	LastAnswer time.Time `json:"lastAnswer,omitzero"`
}

// Pause is a time in which a registry is left alone.
type Pause struct {
	Since time.Time `json:"since"`
	// Until is when it ends at the latest. NextTry is when one request goes ahead, to find
	// out whether the registry is back; if it is, the pause ends.
	Until   time.Time `json:"until"`
	NextTry time.Time `json:"nextTry"`
	// Status is that of the answer that asked for it, and AskedSeconds for how long.
	Status       int     `json:"status"`
	AskedSeconds float64 `json:"askedSeconds"`
	// Request is what was asked, Repository where.
	Request    string `json:"request,omitzero"`
	Repository string `json:"repository,omitzero"`
	// TokenService is the host that gave the answer, if that was not the registry.
	TokenService string `json:"tokenService,omitzero"`
}

// RegistryList lists registries, in the order of their names.
type RegistryList struct {
	Registries []Registry `json:"registries"`
}

// RegistryRequest names a registry: HOST or HOST:PORT.
type RegistryRequest struct {
	Registry string `json:"registry"`
}

// PauseLifted says whether there was a pause to lift, with the daemon that was asked.
type PauseLifted struct {
	Paused bool `json:"paused"`
}

// Registries asks for the registries that the daemon knows.
func (c *Client) Registries(ctx context.Context) ([]Registry, error) {
	var list RegistryList
	err := c.get(ctx, RegistriesPath, &list)
	return list.Registries, err
}

// LiftRegistry ends the pauses of a registry. It tells whether there was one.
func (c *Client) LiftRegistry(ctx context.Context, registry string) (paused bool, err error) {
	var lifted PauseLifted
	err = c.post(ctx, LiftRegistryPath, RegistryRequest{Registry: registry}, &lifted)
	return lifted.Paused, err
}

// DrainRegistry has no more pushes begin to a registry.
func (c *Client) DrainRegistry(ctx context.Context, registry string) (Registry, error) {
	return c.setRegistry(ctx, DrainRegistryPath, registry)
}

// BlockRegistry has no more requests go to a registry, and ends the pushes under way there.
func (c *Client) BlockRegistry(ctx context.Context, registry string) (Registry, error) {
	return c.setRegistry(ctx, BlockRegistryPath, registry)
}

// OpenRegistry undoes both.
func (c *Client) OpenRegistry(ctx context.Context, registry string) (Registry, error) {
	return c.setRegistry(ctx, OpenRegistryPath, registry)
}

func (c *Client) setRegistry(ctx context.Context, path, registry string) (Registry, error) {
	var state Registry
	err := c.post(ctx, path, RegistryRequest{Registry: registry}, &state)
	return state, err
}
