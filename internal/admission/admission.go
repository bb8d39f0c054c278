// Package admission decides who a client is, and what it may have pushed.
package admission

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// What a client's name begins with, which says how it is known.
const (
	certificatePrefix = "certificate:"
	tokenPrefix       = "token:"
	addressPrefix     = "address:"
)

// minSecret is the least length of a token, in bytes: one that nobody guesses.
const minSecret = 24

// Policy says who may do what.
type Policy struct {
	// Tokens are what clients may be known by. Their names may repeat: an old secret
	// is good beside a new one for a while.
	Tokens []Token
	// Rules say what may be pushed: what one of them allows. Nil allows everything to
	// everybody; without any rule nobody may push.
	Rules []Rule
	// Read and Operate are patterns of the clients that may look at the daemon's
	// pages and its API, and that may steer what it does. Nil is everybody.
	Read, Operate []string
	// Stream are patterns of the clients that may send build events. Nil is everybody.
	Stream []string
	// Promote are patterns of the clients that may promote, reject and roll back builds, and
	// lift the order of builds at a tag. Nil is those that may operate.
	Promote []string
	// PromoteWithheld are patterns of the clients that may promote also a build that did
	// not end well. Nil is nobody.
	PromoteWithheld []string
}

// Token is a client's name, and what it proves that with.
type Token struct{ Name, Secret string }

// Rule allows pushes. Each of its fields has to allow a push, and one that is empty
// allows all, but for Sources.
type Rule struct {
	// Name tells the rule from the others, in what is said of a push that is denied.
	Name string
	// Clients are patterns of clients: token:NAME, certificate:NAME, address:CIDR.
	Clients []string
	// Targets are Bazel's: //app:push, //app:all, //services/...
	Targets []string
	// Repositories are patterns of REGISTRY/REPOSITORY: ghcr.io/acme/**.
	Repositories []string
	// Tags are patterns of tags, of which every tag of the push has to match one.
	Tags []string
	// Sources are patterns of the REGISTRY/REPOSITORY that layers may be read from
	// besides the remote cache, with the daemon's credentials. If there are none, Repositories
	// take their place: what the rule lets be written may be read.
	Sources []string
	// NeverOverwrite are patterns of tags that the pushes which this rule allows must not
	// write over. It allows and denies nothing.
	NeverOverwrite []string
	// NeedsGreen and NeedsApproval are patterns of tags that move only at such a gate, and
	// ReadBack of tags that are looked up after they were written. They allow and deny
	// nothing.
	NeedsGreen, NeedsApproval, ReadBack []string
}

// Admission decides. It is safe for concurrent use.
type Admission struct {
	policy Policy
	tokens map[[sha256.Size]byte]string
}

// New checks a policy. An error names the field that cannot be.
func New(policy Policy) (*Admission, error) {
	policy.Rules = slices.Clone(policy.Rules)
	a := &Admission{policy: policy, tokens: map[[sha256.Size]byte]string{}}
	for i, t := range policy.Tokens {
		if t.Name == "" {
			return nil, fmt.Errorf("tokens[%d].name: must be set", i)
		}
		if len(t.Secret) < minSecret {
			return nil, fmt.Errorf("tokens[%d]: the token of %s has %d bytes, but must have at least %d", i, t.Name, len(t.Secret), minSecret)
		}
		hash := sha256.Sum256([]byte(t.Secret))
		if other, there := a.tokens[hash]; there {
			return nil, fmt.Errorf("tokens[%d]: %s and %s must not have the same token", i, other, t.Name)
		}
		a.tokens[hash] = t.Name
	}
	for i, rule := range policy.Rules {
		if rule.Name == "" {
			return nil, fmt.Errorf("rules[%d].name: must be set", i)
		}
		for _, field := range []struct {
			name     string
			patterns []string
			check    func(string) error
		}{
			{"clients", rule.Clients, checkClient},
			{"targets", rule.Targets, checkTarget},
			{"repositories", rule.Repositories, checkGlob},
			{"tags", rule.Tags, checkGlob},
			{"sources", rule.Sources, checkGlob},
			{"never_overwrite", rule.NeverOverwrite, checkGlob},
			{"needs_green", rule.NeedsGreen, checkGlob},
			{"needs_approval", rule.NeedsApproval, checkGlob},
			{"read_back", rule.ReadBack, checkGlob},
		} {
			if err := checkAll(field.patterns, field.check); err != nil {
				return nil, fmt.Errorf("rules[%d].%s: %w", i, field.name, err)
			}
		}
		a.policy.Rules[i].Repositories = canonicalPatterns(rule.Repositories)
		a.policy.Rules[i].Sources = canonicalPatterns(rule.Sources)
	}
	for _, field := range []struct {
		name    string
		clients []string
	}{
		{"stream", policy.Stream}, {"read", policy.Read}, {"operate", policy.Operate}, {"promote", policy.Promote}, {"promote_withheld", policy.PromoteWithheld},
	} {
		if err := checkAll(field.clients, checkClient); err != nil {
			return nil, fmt.Errorf("%s: %w", field.name, err)
		}
	}
	return a, nil
}

var errUnknownToken = errors.New("unknown token")

// Identify names a client by what is known of it: the token that it shows, or else
// the name in the certificate that it showed and that was verified, or else its
// network address without the port. Each may be empty.
func (a *Admission) Identify(token, certificate, address string) (string, error) {
	switch {
	case token != "":
		name, known := a.tokens[sha256.Sum256([]byte(token))]
		if !known {
			return "", errUnknownToken
		}
		return tokenPrefix + name, nil
	case certificate != "":
		return certificatePrefix + certificate, nil
	}
	return addressPrefix + address, nil
}

// MayRead tells whether a client may look at pages and ask the API.
func (a *Admission) MayRead(client string) bool {
	return a.policy.Read == nil || matchesAny(a.policy.Read, client, matchClient)
}

// MayOperate tells whether a client may cancel, retry, requeue and redeliver.
func (a *Admission) MayOperate(client string) bool {
	return a.policy.Operate == nil || matchesAny(a.policy.Operate, client, matchClient)
}

// MayPromote tells whether a client may decide about builds whose tags wait, roll builds
// back, and lift the order of builds at a tag.
func (a *Admission) MayPromote(client string) bool {
	if a.policy.Promote == nil {
		return a.MayOperate(client)
	}
	return matchesAny(a.policy.Promote, client, matchClient)
}

// MayPromoteWithheld tells whether a client may promote a build whose tags are withheld.
func (a *Admission) MayPromoteWithheld(client string) bool {
	return a.MayPromote(client) && matchesAny(a.policy.PromoteWithheld, client, matchClient)
}

// MayPush tells whether a client may have anything pushed at all. What a client wants
// that may not need not be looked at.
func (a *Admission) MayPush(client string) bool {
	return a.policy.Rules == nil || slices.ContainsFunc(a.policy.Rules, func(rule Rule) bool {
		return len(rule.Clients) == 0 || matchesAny(rule.Clients, client, matchClient)
	})
}

// Push is what a client wants pushed.
type Push struct {
	Client string
	// Target is a label, as Bazel tells it.
	Target string
	// Repository is where to: REGISTRY/REPOSITORY.
	Repository string
	Tags       []string
	// Sources are the repositories that layers may be read from.
	Sources []string
}

// DeniedError is of a push that no rule allows.
type DeniedError struct{ text string }

func (e *DeniedError) Error() string { return e.text }

// Admit tells whether a push may be, and under which terms. If no rule allows it, the
// error is a [*DeniedError] that says what the rule that came nearest to allowing it has
// against it.
func (a *Admission) Admit(push Push) (Terms, error) {
	if a.policy.Rules == nil {
		return Terms{}, nil
	}
	push = push.canonical()
	var terms *Terms
	nearest, distance := "the policy has no rules", -1
	for _, rule := range a.policy.Rules {
		passed, reason := rule.admit(push)
		if reason == "" {
			terms = rule.terms(push.Tags).and(terms)
		} else if passed > distance {
			nearest, distance = fmt.Sprintf("rule %s %s", rule.Name, reason), passed
		}
	}
	if terms != nil {
		return *terms, nil
	}
	return Terms{}, &DeniedError{text: fmt.Sprintf("the daemon's policy does not allow %s to push this: %s", push.Client, nearest)}
}

// admit checks field by field, and tells how many passed and what the next one has
// against the push, or "".
func (r Rule) admit(push Push) (passed int, reason string) {
	for _, field := range []struct {
		patterns []string
		match    func(pattern, text string) bool
		values   []string
		what     string
	}{
		{r.Clients, matchClient, []string{push.Client}, "clients"},
		{r.Targets, matchTarget, []string{push.Target}, "targets"},
		{r.Repositories, matchRepository, []string{push.Repository}, "repositories"},
		{r.Tags, matchGlob, push.Tags, "tags"},
	} {
		for _, value := range field.values {
			if len(field.patterns) > 0 && !matchesAny(field.patterns, value, field.match) {
				return passed, fmt.Sprintf("allows the %s %s, but not %s", field.what, strings.Join(field.patterns, ", "), value)
			}
		}
		passed++
	}
	for _, source := range push.Sources {
		if !r.maySource(source) {
			return passed, r.againstSource(source)
		}
	}
	return passed, ""
}

func matchesAny(patterns []string, text string, match func(pattern, text string) bool) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, text) })
}

func checkAll(patterns []string, check func(string) error) error {
	for _, pattern := range patterns {
		if err := check(pattern); err != nil {
			return err
		}
	}
	return nil
}

func checkGlob(pattern string) error {
	if pattern == "" || !doublestar.ValidatePattern(pattern) {
		return fmt.Errorf("%q is not a valid pattern: * matches anything but a slash, ** matches anything", pattern)
	}
	return nil
}

func matchGlob(pattern, text string) bool {
	return doublestar.MatchUnvalidated(pattern, text)
}

func checkClient(pattern string) error {
	if network, found := strings.CutPrefix(pattern, addressPrefix); found {
		if _, err := parseNetwork(network); err != nil {
			return fmt.Errorf("%q must be an address or a network such as address:10.0.0.0/8", pattern)
		}
		return nil
	}
	if !strings.HasPrefix(pattern, tokenPrefix) && !strings.HasPrefix(pattern, certificatePrefix) {
		return fmt.Errorf("%q must begin with token:, certificate: or address: to name a client", pattern)
	}
	return checkGlob(pattern)
}

func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		network, err := netip.ParsePrefix(text)
		return network.Masked(), err
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return address.Prefix(address.BitLen())
}

// matchClient compares names by pattern, and addresses by network. Neither a token
// nor a certificate can have a name that counts as the other, or as an address.
func matchClient(pattern, client string) bool {
	network, found := strings.CutPrefix(pattern, addressPrefix)
	if !found {
		return matchGlob(pattern, client)
	}
	text, found := strings.CutPrefix(client, addressPrefix)
	if !found {
		return false
	}
	prefix, err := parseNetwork(network)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(text)
	return err == nil && prefix.Contains(address.Unmap())
}

func checkTarget(pattern string) error {
	label, found := strings.CutPrefix(pattern, "//")
	if at := strings.Index(pattern, "//"); strings.HasPrefix(pattern, "@") && at > 0 {
		label, found = pattern[at+2:], true
	}
	if !found || strings.Count(label, ":") > 1 || (!strings.Contains(label, ":") && !strings.HasSuffix(label, "...")) {
		return fmt.Errorf("%q must be a target such as //app:push, //services/... or //app:all", pattern)
	}
	return nil
}

// matchTarget compares as Bazel's target patterns do. The main repository's labels
// may begin with any number of @.
func matchTarget(pattern, label string) bool {
	pattern, label = mainLabel(pattern), mainLabel(label)
	if prefix, found := strings.CutSuffix(pattern, "..."); found {
		if below, found := strings.CutSuffix(prefix, "/"); found && !strings.HasSuffix(prefix, "//") {
			// The package itself is meant, and what is below.
			return strings.HasPrefix(label, below+":") || strings.HasPrefix(label, prefix)
		}
		return strings.HasPrefix(label, prefix)
	}
	if base, found := strings.CutSuffix(pattern, ":all"); found {
		return strings.HasPrefix(label, base+":")
	}
	return pattern == label
}

func mainLabel(label string) string {
	if rest := strings.TrimLeft(label, "@"); strings.HasPrefix(rest, "//") {
		return rest
	}
	return label
}
