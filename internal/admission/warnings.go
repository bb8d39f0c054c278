package admission

import "fmt"

// strangers are hosts that no pattern is likely to be for.
var strangers = []string{"a.invalid", "registry.b.test:5000", "[2001:db8::1]:5000"}

// Warnings say which patterns of the rules are wider than people may know.
func (a *Admission) Warnings() []string {
	var warnings []string
	for _, rule := range a.policy.Rules {
		if len(rule.Repositories) == 0 {
			warnings = append(warnings, fmt.Sprintf("rule %s has no repositories: it allows pushes to every registry", rule.Name))
		}
		for _, field := range []struct {
			name, allows string
			patterns     []string
		}{
			{"repositories", "pushes to every registry", rule.Repositories},
			{"sources", "layers from every registry", rule.Sources},
		} {
			for _, pattern := range field.patterns {
				if coversEveryHost(pattern) {
					warnings = append(warnings, fmt.Sprintf("rule %s: the pattern %q of its %s allows %s: name the registries, such as ghcr.io/**",
						rule.Name, pattern, field.name, field.allows))
				}
			}
		}
	}
	return warnings
}

// coversEveryHost tells whether the host in a pattern of repositories may be any.
func coversEveryHost(pattern string) bool {
	host, _ := splitPattern(pattern)
	for _, stranger := range strangers {
		if !matchGlob(host, stranger) {
			return false
		}
	}
	return true
}
