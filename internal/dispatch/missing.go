package dispatch

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/bazel"
	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// missing is a blob of an image that the remote cache does not have.
type missing struct {
	blob pushspec.Blob
	err  error
}

func (m *missing) Error() string { return m.err.Error() }
func (m *missing) Unwrap() error { return m.err }

// name says which of the spec's blobs an error is about, if it is that the remote cache
// does not have it.
func name(spec *pushspec.Spec, err error) error {
	absent, ok := errors.AsType[*cas.NotFoundError](err)
	if !ok {
		return err
	}
	for _, blob := range spec.Blobs {
		if slices.ContainsFunc(blob.Sources, func(s pushspec.Source) bool { return s.CAS == absent.Digest.String() }) {
			return &missing{blob: blob, err: err}
		}
	}
	return err
}

// absence is all that tells why the remote cache lacks something.
type absence struct {
	job        store.Job
	invocation store.Invocation
	// cache is the address of the remote cache that was asked.
	cache string
	// hash names what is missing in the cache. target makes it, if that is known, and
	// tag is the one by which that keeps it out of caches.
	hash, target, tag string
	// spec says that it is the push spec itself.
	spec bool
}

// why says why the remote cache lacks something, and what heals that.
func (a absence) why() string {
	cause, step := a.elsewhere()
	if cause == "" {
		cause, step = a.cause()
	}
	return cause + " " + step
}

// elsewhere is the answer for builds whose cache is not the one that was asked.
func (a absence) elsewhere() (cause, step string) {
	remote, told := a.remote()
	step = fmt.Sprintf("Build again with --remote_cache=%s %s", a.address(), bazel.Again)
	switch {
	case told && remote == "" && a.flag("disk_cache") != "":
		return "The build had a disk cache and no remote cache: nobody else reads what it made.", step
	case told && remote == "":
		return "The build had no remote cache.", step
	case strings.HasPrefix(remote, "http"):
		return "The build speaks HTTP with its remote cache, and Bazel does not name such a cache in its events.", "Name the cache by its gRPC address. " + step
	case a.spec && !a.job.Spec.Local && a.otherHost():
		return fmt.Sprintf("The build's remote cache is %s, and the daemon reads %s.", a.job.Spec.Host, a.address()),
			"If these are two caches, name one and the same to both. " + step
	}
	return "", ""
}

// remote is the scheme of the build's remote cache, and whether the build has told it.
func (a absence) remote() (scheme string, told bool) {
	if scheme = a.flag("remote_cache"); scheme == "" {
		scheme = a.flag("remote_executor")
	}
	return scheme, a.invocation.Flags != nil
}

func (a absence) flag(name string) string { return a.invocation.Flags[name] }

// address is that of the cache as a build can name it. A socket is of the daemon's
// machine.
func (a absence) address() string {
	if !strings.HasPrefix(a.cache, "grpc") {
		return "CACHE"
	}
	return a.cache
}

// otherHost says whether the build calls its cache by another name than the daemon does.
func (a absence) otherHost() bool {
	if a.job.Spec.Host == "" {
		return false
	}
	ours, err := url.Parse(a.cache)
	if err != nil || ours.Host == "" {
		return false
	}
	theirs := url.URL{Host: a.job.Spec.Host}
	if !strings.EqualFold(ours.Hostname(), theirs.Hostname()) {
		return true
	}
	return ours.Port() != "" && theirs.Port() != "" && ours.Port() != theirs.Port()
}

// cause says what kept it out of the build's own cache, and what heals that.
func (a absence) cause() (cause, step string) {
	switch {
	case a.unsent():
		return "Bazel could not upload it" + a.refusal() + ".", "Mend that, and build again with " + bazel.Upload
	case a.kept() != "":
		of := ""
		if a.target != "" {
			of = " of " + a.target
		}
		return fmt.Sprintf("The tag %s%s keeps it out of the remote cache.", a.kept(), of),
			"Remove the tag, or build again with " + bazel.Upload + ", which uploads it all the same"
	case a.keptByFlag():
		return "The build's --modify_execution_info keeps it out of the remote cache.", "Leave that flag out, and build again with " + bazel.Upload
	case a.withheld():
		return "The build uploads nothing that it makes itself, by --noremote_upload_local_results.",
			"Build again with --remote_upload_local_results " + bazel.Upload
	case a.flag("disk_cache") != "":
		return "The build has a disk cache, and Bazel does not upload what it finds there.", "Build again with " + bazel.Again
	case a.uploads():
		return "The cache has dropped it, and Bazel takes it for there.", "Have the cache keep layers for longer, and build again with " + bazel.Again
	}
	return "Bazel takes it for there and did not look: it was made without this cache, or the cache has dropped it since.", "Build again with " + bazel.Again
}

// unsent says whether Bazel failed to upload it, as it told in this build.
func (a absence) unsent() bool {
	remote, _ := a.remote()
	return slices.Contains(a.invocation.Unsent.Digests, a.hash) || a.invocation.Unsent.More ||
		// Bazel puts its own path into the event where the upload for the event failed.
		a.spec && a.job.Spec.Local && remote != ""
}

// refusal is the reason of a failed upload.
func (a absence) refusal() string {
	switch code := a.invocation.Unsent.Code; code {
	case "":
		return ": its warning is \"Remote Cache: …\""
	case "UNAUTHENTICATED", "PERMISSION_DENIED":
		return ": " + code + ", the cache does not take uploads with the build's credentials"
	case "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "OUT_OF_RANGE":
		return ": " + code + ", the cache is full, or does not take a file of that size"
	default:
		return ": " + code
	}
}

// kept is the tag by which the target that makes it keeps it out of caches. Files of
// build events are uploaded whatever the tags.
func (a absence) kept() string {
	if a.uploads() {
		return ""
	}
	return a.tag
}

// uploads says whether the build uploads the files of its events, layers among them.
func (a absence) uploads() bool {
	if a.flag("remote_build_event_upload") != "all" {
		return false
	}
	asked := a.spec // a default output, mostly
	for group := range strings.SplitSeq(a.flag("output_groups"), ",") {
		switch group {
		case "+blobs", "blobs":
			asked = true
		case "-blobs":
			asked = a.spec
		}
	}
	return asked
}

// withheld says whether the build is told not to upload what it makes itself.
func (a absence) withheld() bool {
	return a.flag("remote_upload_local_results") == "false" && a.flag("remote_executor") == "" && !a.uploads()
}

// keptByFlag says whether a flag does to it what a tag would.
func (a absence) keptByFlag() bool {
	if a.uploads() {
		return false
	}
	mnemonic := "ImageLayer"
	if a.spec {
		mnemonic = "PushSpec"
	}
	for part := range strings.SplitSeq(a.flag("modify_execution_info"), ",") {
		pattern, change, found := strings.Cut(part, "=")
		if !found || !slices.Contains(uncachedTags, strings.TrimPrefix(change, "+")) || !strings.HasPrefix(change, "+") {
			continue
		}
		// Bazel's patterns are Java's: one that is not understood here says nothing.
		if matches, err := regexp.MatchString("^(?:"+pattern+")$", mnemonic); err == nil && matches {
			return true
		}
	}
	return false
}

// uncachedTags are the tags that keep what a target makes out of remote caches.
var uncachedTags = []string{"local", "no-cache", "no-remote", "no-remote-cache", "no-remote-cache-upload"}

// uncached is the one of a target's tags that keeps what it makes out of remote caches,
// or "".
func uncached(tags []string) string {
	for _, tag := range uncachedTags {
		if slices.Contains(tags, tag) {
			return tag
		}
	}
	return ""
}
