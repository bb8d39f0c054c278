package server

import (
	"bytes"
	"fmt"
	"net"
	"os"

	"github.com/drayage/drayage/internal/admission"
)

// Policy says who may have what pushed, and who may see and steer that. Without one
// that is everybody who reaches the daemon.
type Policy struct {
	// Tokens are what clients may be known by. A name may have several: an old secret
	// is good beside its successor.
	Tokens []PolicyToken `yaml:"tokens"`
	// Rules allow pushes; what none of them allows is denied.
	Rules []PolicyRule `yaml:"rules"`
	// Stream are the clients that may send build events. Defaults to everybody: the events of
	// a client that may push nothing are passed on to the backends, and nothing of them is
	// kept.
	Stream []string `yaml:"stream"`
	// Read are the clients that may look at pages, and ask the API. Defaults to
	// everybody.
	Read []string `yaml:"read"`
	// Operate are the clients that may cancel, retry, requeue and redeliver. Defaults
	// to nobody.
	Operate []string `yaml:"operate"`
	// Promote are the clients that may promote, reject and roll back builds, and lift the
	// order of builds at a tag. Defaults to those that may operate.
	Promote []string `yaml:"promote"`
	// PromoteWithheld are those of them that may promote also a build whose tags are
	// withheld. Defaults to nobody.
	PromoteWithheld []string `yaml:"promote_withheld"`
}

// PolicyToken is a client's name, and the file with the token that proves it.
type PolicyToken struct {
	Name string `yaml:"name"`
	// SecretFile holds the token: at least 24 bytes.
	SecretFile string `yaml:"secret_file"`
}

// PolicyRule allows the pushes that all of its fields allow; an empty one allows all.
type PolicyRule struct {
	// Name tells the rule from the others, in what is said of a push that is denied.
	Name string `yaml:"name"`
	// Clients are token:NAME, certificate:NAME and address:CIDR, with patterns.
	Clients []string `yaml:"clients"`
	// Targets are Bazel's: //app:push, //app:all, //services/...
	Targets []string `yaml:"targets"`
	// Repositories are patterns of REGISTRY/REPOSITORY: ghcr.io/acme/**.
	Repositories []string `yaml:"repositories"`
	// Tags are patterns of tags.
	Tags []string `yaml:"tags"`
	// Sources are patterns of REGISTRY/REPOSITORY from which base layers may be read.
	Sources []string `yaml:"sources"`
	// NeverOverwrite are patterns of tags that point to one image for ever, once they are
	// pushed under this rule.
	NeverOverwrite []string `yaml:"never_overwrite"`
	// NeedsGreen and NeedsApproval are patterns of tags that move only once their build has
	// ended well, and once somebody has approved it as well.
	NeedsGreen    []string `yaml:"needs_green"`
	NeedsApproval []string `yaml:"needs_approval"`
	// ReadBack are patterns of tags that are looked up after they were written.
	ReadBack []string `yaml:"read_back"`
}

// admission makes what decides. With secrets, the tokens' files are read.
func (p *Policy) admission(secrets bool) (*admission.Admission, error) {
	if p == nil {
		return admission.New(admission.Policy{})
	}
	policy := admission.Policy{Rules: []admission.Rule{}, Stream: p.Stream, Read: p.Read, Operate: p.Operate, Promote: p.Promote, PromoteWithheld: p.PromoteWithheld}
	if policy.Operate == nil {
		policy.Operate = []string{}
	}
	for _, rule := range p.Rules {
		policy.Rules = append(policy.Rules, rule.admission())
	}
	for i, token := range p.Tokens {
		if token.Name == "" || token.SecretFile == "" {
			return nil, fmt.Errorf("policy.tokens[%d]: name and secret_file must both be set", i)
		}
		if !secrets {
			continue
		}
		secret, err := os.ReadFile(token.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("policy.tokens[%d].secret_file: %w", i, err)
		}
		policy.Tokens = append(policy.Tokens, admission.Token{Name: token.Name, Secret: string(bytes.TrimSpace(secret))})
	}
	a, err := admission.New(policy)
	if err != nil {
		return nil, fmt.Errorf("policy.%w", err)
	}
	return a, nil
}

func (r PolicyRule) admission() admission.Rule {
	return admission.Rule{
		Name: r.Name, Clients: r.Clients, Targets: r.Targets, Repositories: r.Repositories, Tags: r.Tags, Sources: r.Sources,
		NeverOverwrite: r.NeverOverwrite, NeedsGreen: r.NeedsGreen, NeedsApproval: r.NeedsApproval, ReadBack: r.ReadBack,
	}
}

// hostOf is an address without its port.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
