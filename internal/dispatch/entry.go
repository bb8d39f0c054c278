package dispatch

import (
	"slices"

	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// beginEntry begins the row with what is known beforehand.
func (r *run) beginEntry() {
	built := revisionOf(r.invocation)
	r.entry = ledger.Entry{
		Target:        r.job.Target,
		Configuration: r.job.Configuration,
		Aspect:        r.job.Aspect,
		SpecDigest:    r.job.Spec.Digest(),
		BuildID:       r.job.Build,
		InvocationID:  r.job.Invocation,
		Attempts:      r.attempt.Number,
		Command:       r.invocation.Command,
		BazelVersion:  r.invocation.BazelVersion,
		ExitCode:      r.invocation.ExitCode,
		Commit:        built.commit,
		Branch:        built.branch,
		Dirty:         built.dirty,
		Metadata:      r.invocation.Metadata,
		Client:        r.job.Client,
		DaemonVersion: r.worker.opts.Version,
	}
}

// noteSpec notes what the spec says, and its destination as it stands there.
func (r *run) noteSpec() {
	r.entry.Registry = r.spec.Destination.Registry
	r.entry.Repository = r.spec.Destination.Repository
	r.entry.Digest = r.spec.Root.String()
	for _, m := range r.spec.Manifests {
		manifest := ledger.Manifest{Digest: m.Digest.String(), MediaType: string(m.MediaType)}
		if m.Platform != nil {
			manifest.Platform = m.Platform.String()
		}
		r.entry.Manifests = append(r.entry.Manifests, manifest)
	}
}

// noteDestination notes where the image goes.
func (r *run) noteDestination() {
	r.entry.Repository = r.destination.Repository
	r.entry.HeldTags = r.destination.Tags // until they are written
}

// noteCounts notes what a haul did, however it ended.
func (r *run) noteCounts(result haul.Result) {
	r.entry.Uploaded = ledger.Count(result.Uploaded)
	r.entry.Mounted = ledger.Count(result.Mounted)
	r.entry.Present = ledger.Count(result.Present)
	r.entry.Requests += result.Requests
}

// noteOutcome notes how a haul ended that did not fail.
func (r *run) noteOutcome(result haul.Result) {
	r.entry.Outcome = ledger.Pushed
	if result.AlreadyThere {
		r.entry.Outcome = ledger.Present
	}
	r.entry.Tags, r.entry.HeldTags = nil, nil
	for _, tag := range result.Tags {
		if slices.ContainsFunc(r.tags.Superseded, func(s store.SupersededTag) bool { return s.Name == tag.Name }) {
			r.entry.HeldTags = append(r.entry.HeldTags, tag.Name)
			continue
		}
		r.entry.Tags = append(r.entry.Tags, ledger.Tag{Name: tag.Name, Previous: tag.Previous})
	}
	if len(r.tags.Superseded) == 0 {
		r.entry.NeverOverwrite = false
	} else {
		r.entry.Outcome = ledger.Superseded
		r.entry.Error = r.explainSuperseded()
	}
}

// isCopy tells whether the job is a copy that an operator has asked for.
func (r *run) isCopy() bool { return r.invocation.Command == copies.Command }
