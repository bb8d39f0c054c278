package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/loopback"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/version"
)

const (
	// headsAtOnce bounds the requests to registries that are under way.
	headsAtOnce = 8

	// headTimeout bounds what is asked about one tag or digest.
	headTimeout = 30 * time.Second
)

// claim is something that the ledger says about a registry.
type claim struct {
	row int64
	// image is the registry and the repository, suffix ":tag" or "@digest".
	registry, repository, suffix string
	// digests are what may be served there. More than one where a later push
	// failed, and may have written the tag before that.
	digests []string
}

// claims gathers what rows say, each thing once. Rows come newest first, so that
// the first one to name a tag is the one that wrote it last.
type claims struct {
	seen map[string]bool
	// failed are digests that pushes which failed may have put under a tag.
	failed map[string][]string
	list   []claim
}

func newClaims() *claims { return &claims{seen: map[string]bool{}, failed: map[string][]string{}} }

func (c *claims) add(e ledger.Entry) {
	place := e.Registry + "/" + e.Repository
	if e.Outcome == ledger.Failed || e.Outcome == ledger.Cancelled {
		for _, tag := range e.Tags {
			c.failed[place+":"+tag.Name] = append(c.failed[place+":"+tag.Name], e.Digest)
		}
	}
	if !e.Outcome.Good() {
		return
	}
	for _, tag := range e.Tags {
		c.claim(e, ":"+tag.Name, append([]string{e.Digest}, c.failed[place+":"+tag.Name]...))
	}
	c.claim(e, "@"+e.Digest, []string{e.Digest})
	for _, manifest := range e.Manifests {
		c.claim(e, "@"+manifest.Digest, []string{manifest.Digest})
	}
}

func (c *claims) claim(e ledger.Entry, suffix string, digests []string) {
	key := e.Registry + "/" + e.Repository + suffix
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	c.list = append(c.list, claim{row: e.ID, registry: e.Registry, repository: e.Repository, suffix: suffix, digests: digests})
}

// registryProblem is a claim that does not hold.
type registryProblem struct {
	row  int64
	text string
}

func (p registryProblem) String() string { return fmt.Sprintf("row %d: %s", p.row, p.text) }

// checkRegistries asks the registries for every digest, and for every tag that
// its newest writer left, in the rows that the daemon has since a time. It
// returns what does not hold, in the order of rows, and how much was asked.
func checkRegistries(ctx context.Context, client *operator.Client, since time.Time, plainHTTP []string) ([]registryProblem, int, error) {
	puller, err := newPuller(plainHTTP)
	if err != nil {
		return nil, 0, err
	}
	gathered := newClaims()
	for query := (ledger.Query{Since: since, Limit: pageSize}); ; {
		page, err := client.Ledger(ctx, query)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range page.Entries {
			gathered.add(e)
		}
		if query.Before = page.Next; page.Next == 0 {
			break
		}
	}
	var mu sync.Mutex
	var problems []registryProblem
	under := errgroup.Group{}
	under.SetLimit(headsAtOnce)
	for _, c := range gathered.list {
		under.Go(func() error {
			if text := c.check(ctx, puller, plainHTTP); text != "" {
				mu.Lock()
				defer mu.Unlock()
				problems = append(problems, registryProblem{c.row, c.registry + "/" + c.repository + c.suffix + " " + text})
			}
			return ctx.Err()
		})
	}
	if err := under.Wait(); err != nil {
		return nil, 0, fmt.Errorf("ask the registries: %w", err)
	}
	slices.SortFunc(problems, func(a, b registryProblem) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.text, b.text)) })
	return problems, len(gathered.list), nil
}

// check says what is wrong with a claim, or nothing.
func (c claim) check(ctx context.Context, puller *remote.Puller, plainHTTP []string) string {
	reference, err := c.reference(plainHTTP)
	if err != nil {
		return "is no name that a registry can be asked for: " + err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	served, err := puller.Head(ctx, reference)
	var refused *transport.Error
	switch {
	case errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound:
		return "is not in the registry any more: it was deleted, or the registry's retention removed it"
	case err != nil:
		return "could not be asked for: " + withoutTokens(err).Error()
	case !slices.Contains(c.digests, served.Digest.String()):
		return fmt.Sprintf("is %s, and the ledger says %s: something other than the daemon has written it", served.Digest, c.digests[0])
	}
	return ""
}

func (c claim) reference(plainHTTP []string) (name.Reference, error) {
	var options []name.Option
	if slices.Contains(plainHTTP, c.registry) {
		options = append(options, name.Insecure)
	}
	host, err := name.NewRegistry(c.registry, options...)
	if err != nil {
		return nil, err
	}
	if c.suffix[0] == ':' {
		return name.NewTag(host.Repo(c.repository).Name()+c.suffix, options...)
	}
	return name.NewDigest(host.Repo(c.repository).Name()+c.suffix, options...)
}

// newPuller asks registries with the credentials that people have.
func newPuller(plainHTTP []string) (*remote.Puller, error) {
	puller, err := remote.NewPuller(
		remote.WithAuthFromKeychain(registry.DefaultKeychain()),
		remote.WithUserAgent("drayage/"+version.String()),
		remote.WithTransport(&guardedTransport{next: remote.DefaultTransport, plain: plainHTTP}),
	)
	if err != nil {
		return nil, fmt.Errorf("ask the registries: %w", err)
	}
	return puller, nil
}

// guardedTransport lets plain HTTP go to loopback and to the hosts named. The
// library falls back to it for every private address, and credentials with it.
type guardedTransport struct {
	next  http.RoundTripper
	plain []string
}

func (g *guardedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !slices.Contains(g.plain, r.URL.Host) && !loopback.Is(r.URL.Hostname()) {
		return nil, fmt.Errorf("%s does not speak HTTPS; give --plain-http %s if that is meant", r.URL.Host, r.URL.Host)
	}
	return g.next.RoundTrip(r)
}
