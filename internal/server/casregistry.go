package server

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/casregistry"
	"github.com/drayage/drayage/internal/httpserver"
)

// httpOptions are those of a server that listens on an address of the configuration.
func (c *Config) httpOptions(listen string, security security) httpserver.Options {
	return httpserver.Options{Listen: listen, Names: c.Names, TLS: security.http()}
}

func (r CASRegistry) check(policy *Policy) error {
	if r.Listen == "" {
		return nil
	}
	if r.Folder == "" {
		return errors.New("cas_registry.folder: must be set, to a folder for the registry's manifests and tags")
	}
	if r.BlobBytes < 1 || r.ClientBytes < 1 || r.ClientUploads < 1 {
		return errors.New("cas_registry: blob_bytes, client_bytes and client_uploads must be greater than 0")
	}
	if strings.ContainsAny(r.Name, "/@ ") {
		return fmt.Errorf("cas_registry.name: %q must be HOST or HOST:PORT", r.Name)
	}
	host, _, err := net.SplitHostPort(r.Listen)
	if ip := net.ParseIP(host); err == nil && policy != nil && r.Name == "" && (host == "" || ip.IsUnspecified()) {
		return fmt.Errorf("cas_registry.name: must be set, to HOST:PORT as people write it in the names of images: the policy's rules name the registry so, and %s is no name", r.Listen)
	}
	return nil
}

// ownRegistry is the host of the daemon's own registry. The daemon pushes to it as to any
// other, on whatever address it is.
func (d *Daemon) ownRegistry() []string {
	if d.casRegistry == "" {
		return nil
	}
	return []string{cmp.Or(d.config.CASRegistry.Name, d.casRegistry)}
}

// makeCASRegistry makes the registry in front of the cache, and its server.
func (d *Daemon) makeCASRegistry(security security) error {
	config := d.config.CASRegistry
	name := d.ownRegistry()[0]
	var err error
	d.registry, err = casregistry.New(casregistry.Options{
		Folder: config.Folder, CAS: d.cas, Instance: config.Instance,
		Access: imageAccess{clients: d.access, registry: strings.ToLower(name), tokens: d.config.Policy != nil && len(d.config.Policy.Tokens) > 0},
		Limits: casregistry.Limits{BlobBytes: config.BlobBytes, ClientBytes: config.ClientBytes, ClientUploads: config.ClientUploads},
		Logger: d.logger,
	})
	if err != nil {
		return fmt.Errorf("cas_registry.folder: %w", err)
	}
	options := d.config.httpOptions(config.Listen, security)
	options.Names = append([]string{name}, options.Names...)
	d.images = httpserver.New(d.registry, options)
	return nil
}

// imageAccess is the policy, for pushes that come from clients themselves.
type imageAccess struct {
	clients access
	// registry is what rules call the registry.
	registry string
	// tokens tells whether there are tokens to ask for.
	tokens bool
}

// Client implements [casregistry.Access].
func (a imageAccess) Client(req *http.Request) (casregistry.Client, error) {
	name, err := a.clients.Client(req)
	if err != nil {
		return casregistry.Client{}, err
	}
	return casregistry.Client{Name: name, Asked: a.tokens && !admission.Proved(name)}, nil
}

// MayRead implements [casregistry.Access].
func (a imageAccess) MayRead(client string) bool { return a.clients.MayRead(client) }

// MayOperate implements [casregistry.Access].
func (a imageAccess) MayOperate(client string) bool { return a.clients.MayOperate(client) }

// noTarget stands for the target of what a client pushes itself. No pattern of targets
// matches it.
const noTarget = "a push without a target"

// Admit implements [casregistry.Access].
func (a imageAccess) Admit(push casregistry.Push) (keepTags []string, err error) {
	asked := admission.Push{Client: push.Client, Target: noTarget, Repository: a.registry + "/" + push.Repository, Tags: push.Tags}
	if push.From != "" {
		asked.Sources = []string{a.registry + "/" + push.From}
	}
	terms, err := a.clients.admission.Admit(asked)
	if err != nil {
		return nil, err
	}
	if terms.Gate.Holds() {
		return nil, fmt.Errorf("the daemon's policy lets the tags %s of %s move only when a build is %s: push them with the strategy bes", strings.Join(push.Tags, ", "), asked.Repository, terms.Gate)
	}
	return terms.KeepTags, nil
}
