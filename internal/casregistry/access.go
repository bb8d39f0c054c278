package casregistry

import (
	"net"
	"net/http"
)

// Client is who sends a request.
type Client struct {
	// Name is what limits and refusals call the client.
	Name string
	// Asked tells whether the client has shown no proof of who it is, and is asked for one
	// where it has no right to what it wants.
	Asked bool
}

// Push is what a client wants to write.
type Push struct {
	// Client is its name.
	Client string
	// Repository is where to, without the registry.
	Repository string
	Tags       []string
	// From is the repository of this registry that a blob is mounted from, or empty.
	From string
}

// Access says who may do what.
type Access interface {
	// Client names who sends a request. It is an error if what proves that does not.
	Client(req *http.Request) (Client, error)
	// MayRead tells whether a client may pull from all repositories.
	MayRead(client string) bool
	// MayOperate tells whether a client may delete.
	MayOperate(client string) bool
	// Admit tells which of its tags a push must not write over, or why it may not be.
	Admit(push Push) (keepTags []string, err error)
}

// everybody may do everything, and goes by the address.
type everybody struct{}

func (everybody) Client(req *http.Request) (Client, error) {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		host = req.RemoteAddr
	}
	return Client{Name: host}, nil
}

func (everybody) MayRead(string) bool { return true }

func (everybody) MayOperate(string) bool { return true }

func (everybody) Admit(Push) ([]string, error) { return nil, nil }

// call is one request about one repository.
type call struct {
	w          http.ResponseWriter
	req        *http.Request
	client     Client
	repository string
	// reference is a tag, a digest, or the id of an upload.
	reference string
}

// mayRead refuses whoever may neither pull from the repository nor push to it: a push
// looks at what is there.
func (r *Registry) mayRead(c *call, repository string) error {
	if r.opts.Access.MayRead(c.client.Name) {
		return nil
	}
	if _, err := r.opts.Access.Admit(Push{Client: c.client.Name, Repository: repository}); err != nil {
		return denied(c.client, c.client.Name+" is not in the daemon's policy.read, and "+err.Error())
	}
	return nil
}

// mayPush refuses whoever may not write to the repository.
func (r *Registry) mayPush(c *call, tags []string, from string) (keepTags []string, err error) {
	keepTags, err = r.opts.Access.Admit(Push{Client: c.client.Name, Repository: c.repository, Tags: tags, From: from})
	if err != nil {
		return nil, denied(c.client, err.Error())
	}
	return keepTags, nil
}

func (r *Registry) mayDelete(c *call) error {
	if r.opts.Access.MayOperate(c.client.Name) {
		return nil
	}
	return denied(c.client, c.client.Name+" is not in the daemon's policy.operate, and may delete nothing")
}
