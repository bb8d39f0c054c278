package admission

import "slices"

// MayMount tells whether a push that [Admission.Admit] allows may have a layer mounted
// from a repository, REGISTRY/REPOSITORY, that it does not name itself. One rule has to
// allow the push with that repository among its sources; what other rules allow the client
// does not count. A rule without sources allows its own repositories.
func (a *Admission) MayMount(push Push, repository string) bool {
	push.Sources = append(slices.Clone(push.Sources), repository)
	_, err := a.Admit(push)
	return err == nil
}
