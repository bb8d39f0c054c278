package admission

import (
	"slices"
	"strings"

	"github.com/drayage/drayage/pushspec"
)

// canonical is the push with the one name of each registry.
func (p Push) canonical() Push {
	p.Repository = canonicalRepository(p.Repository)
	sources := make([]string, len(p.Sources))
	for i, source := range p.Sources {
		sources[i] = canonicalRepository(source)
	}
	p.Sources = sources
	return p
}

// canonicalRepository is a repository by the one name of its registry. What is no
// repository stays as it is: nothing can be pushed there.
func canonicalRepository(text string) string {
	registry, repository, err := pushspec.CanonicalRepository(text)
	if err != nil {
		return text
	}
	return registry + "/" + repository
}

// canonicalPatterns are patterns of repositories with the one name of each registry.
func canonicalPatterns(patterns []string) []string {
	patterns = slices.Clone(patterns)
	for i, pattern := range patterns {
		host, rest := splitPattern(pattern)
		if registry, err := pushspec.CanonicalRegistry(host); err == nil {
			host = registry
		} else if strings.Contains(host, ".") {
			host = strings.TrimSuffix(host, ":443")
		}
		patterns[i] = strings.ToLower(host) + rest
	}
	return patterns
}

// splitPattern splits a pattern of repositories after its host. What alternatives there
// are stay together, slashes too.
func splitPattern(pattern string) (host, rest string) {
	depth := 0
	for i, c := range pattern {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		case '/':
			if depth <= 0 {
				return pattern[:i], pattern[i:]
			}
		}
	}
	return pattern, ""
}

// matchRepository compares a repository with a pattern. Of a registry with several names a
// pattern may match any: {docker,ghcr}.io/** is meant for Docker Hub too.
func matchRepository(pattern, repository string) bool {
	if matchGlob(pattern, repository) {
		return true
	}
	host, rest, found := strings.Cut(repository, "/")
	if !found {
		return false
	}
	return slices.ContainsFunc(pushspec.RegistryNames(host), func(name string) bool {
		return name != host && matchGlob(pattern, name+"/"+rest)
	})
}
