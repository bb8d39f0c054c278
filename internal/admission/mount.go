package admission

import "slices"

// MayMount tells whether a push that [Admission.Admit] allows may have a layer mounted
// from a repository, REGISTRY/REPOSITORY, that it does not name itself. One rule has to
// allow the push with that repository among its sources; what other rules allow the client
// does not count. A rule without sources allows its own repositories.
func (a *Admission) MayMount(push Push, repository string) bool {
	if a.policy.Rules == nil {
		return true
	}
	push.Sources = append(slices.Clone(push.Sources), repository)
	return slices.ContainsFunc(a.policy.Rules, func(rule Rule) bool {
		_, reason := rule.admit(push)
		return reason == "" && (len(rule.Sources) > 0 || matchesAny(rule.Repositories, repository, matchGlob))
	})
}
