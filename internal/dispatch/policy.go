package dispatch

import (
	"slices"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/pushspec"
)

// Policy says what may be pushed. [admission.Admission] is one.
type Policy interface {
	// MayPush tells whether a client may have anything pushed at all. If not, Admit
	// allows none of its pushes.
	MayPush(client string) bool
	Admit(push admission.Push) (admission.Terms, error)
	// MayMount tells whether a push that Admit allows may have layers mounted from a
	// repository, REGISTRY/REPOSITORY, that its spec does not name.
	MayMount(push admission.Push, repository string) bool
}

// admitClient asks the policy before the spec is read: what a stranger sends is not even
// looked at.
func (r *run) admitClient() error {
	if r.worker.opts.Policy.MayPush(r.job.Client) {
		return nil
	}
	_, err := r.worker.opts.Policy.Admit(admission.Push{Client: r.job.Client, Target: r.job.Target})
	return err
}

// admit asks the policy, and notes its terms: which tags must not be written over: all, where the
// build asks for that, and else those of the policy.
func (r *run) admit() error {
	r.asked = admission.Push{
		Client: r.job.Client, Target: r.job.Target, Tags: r.destination.Tags,
		Repository: r.destination.Registry + "/" + r.destination.Repository, Sources: sources(r.spec),
	}
	terms, err := r.worker.opts.Policy.Admit(r.asked)
	if err != nil {
		return err
	}
	r.keepTags, r.readBack, r.floor = terms.KeepTags, terms.ReadBack, terms.Gate
	if kept := r.destination.KeepTags(); kept != nil {
		r.keepTags = kept
	}
	return nil
}

// sources are the repositories that the spec has layers read from.
func sources(spec *pushspec.Spec) []string {
	if spec == nil {
		return nil // nothing is read but what the repository has
	}
	var repositories []string
	for _, blob := range spec.Blobs {
		if !pushspec.Distributable(blob.MediaType) {
			continue // it is read from nowhere
		}
		for _, source := range blob.Sources {
			if source.Repository != "" && !slices.Contains(repositories, source.Repository) {
				repositories = append(repositories, source.Repository)
			}
		}
	}
	return repositories
}

// mayMount tells whether this push may have layers mounted from a repository of the
// destination's registry that its spec does not name.
func (r *run) mayMount(repository string) bool {
	return r.worker.opts.Policy.MayMount(r.asked, r.destination.Registry+"/"+repository)
}
