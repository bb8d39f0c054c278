package dispatch

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/bazel"
	"github.com/drayage/drayage/internal/store"
)

// elsewhere is the answer for builds whose cache is not the one that was asked.
func (m cacheMiss) elsewhere() (cause, step string) {
	remote, told := m.remote()
	step = fmt.Sprintf("Build again with --remote_cache=%s %s", m.address(), bazel.Again)
	switch {
	case told && remote == "" && m.flag("disk_cache") != "":
		return "The build had a disk cache and no remote cache, so nobody else can read what it built.", step
	case told && remote == "":
		return "The build had no remote cache.", step
	case strings.HasPrefix(remote, "http"):
		return "The build uses its remote cache over HTTP, and Bazel does not name such a cache in its events.", "Name the cache by its gRPC address. " + step
	case m.spec && !m.job.Spec.Local && m.otherHost():
		return fmt.Sprintf("The build's remote cache is %s, and the daemon reads %s.", m.job.Spec.Host, m.address()),
			"If these are two caches, name one and the same to both. " + step
	}
	return "", ""
}

// remote is the scheme of the build's remote cache, and whether the build has told it.
func (m cacheMiss) remote() (scheme string, told bool) {
	if scheme = m.flag("remote_cache"); scheme == "" {
		scheme = m.flag("remote_executor")
	}
	return scheme, m.invocation.Flags != nil
}

func (m cacheMiss) flag(name string) string { return m.invocation.Flags[name] }

// address is that of the cache as a build can name it. A socket is of the daemon's
// machine.
func (m cacheMiss) address() string {
	if !strings.HasPrefix(m.cache, "grpc") {
		return "CACHE"
	}
	return m.cache
}

// otherHost says whether the build calls its cache by another name than the daemon does.
func (m cacheMiss) otherHost() bool {
	if m.job.Spec.Host == "" {
		return false
	}
	ours, err := url.Parse(m.cache)
	if err != nil || ours.Host == "" {
		return false
	}
	theirs := url.URL{Host: m.job.Spec.Host}
	if !strings.EqualFold(ours.Hostname(), theirs.Hostname()) {
		return true
	}
	return ours.Port() != "" && theirs.Port() != "" && ours.Port() != theirs.Port()
}

// cause says what kept it out of the build's own cache, and what heals that.
func (m cacheMiss) cause() (cause, step string) {
	switch {
	case m.unsent():
		return "Bazel could not upload it" + m.refusal() + ".", "Fix that, and build again with " + bazel.Upload
	case m.kept() != "":
		of := ""
		if m.target != "" {
			of = " of " + m.target
		}
		return fmt.Sprintf("The tag %s%s keeps it out of the remote cache.", m.kept(), of),
			"Remove the tag, or build again with " + bazel.Upload + ", which uploads it anyway"
	case m.keptByFlag():
		return "The build's --modify_execution_info keeps it out of the remote cache.", "Leave that flag out, and build again with " + bazel.Upload
	case m.withheld():
		return "--noremote_upload_local_results keeps the build from uploading what it builds.",
			"Build again with --remote_upload_local_results " + bazel.Upload
	case m.flag("disk_cache") != "":
		return "The build has a disk cache, and Bazel does not upload what it finds there.", "Build again with " + bazel.Again
	case m.uploads():
		return "The cache has dropped it, and Bazel assumes that it is still there.", "Have the cache keep layers for longer, and build again with " + bazel.Again
	}
	return "Bazel assumes that the cache has it and did not check: it was built without this cache, or the cache has dropped it since.", "Build again with " + bazel.Again
}

// unsent says whether Bazel failed to upload it, as it told in this build.
func (m cacheMiss) unsent() bool {
	remote, _ := m.remote()
	return slices.Contains(m.invocation.Unsent.Digests, m.hash) || m.invocation.Unsent.More ||
		// Bazel puts its own path into the event where the upload for the event failed.
		m.spec && m.job.Spec.Local && remote != ""
}

// refusal is the reason of a failed upload.
func (m cacheMiss) refusal() string {
	switch code := m.invocation.Unsent.Code; code {
	case "":
		return ": its warning is \"Remote Cache: …\""
	case "UNAUTHENTICATED", "PERMISSION_DENIED":
		return ": " + code + ": the cache rejects uploads with the build's credentials"
	case "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "OUT_OF_RANGE":
		return ": " + code + ": the cache is full, or does not accept a file of this size"
	default:
		return ": " + code
	}
}

// kept is the tag by which the target that makes it keeps it out of caches. Files of
// build events are uploaded whatever the tags.
func (m cacheMiss) kept() string {
	if m.uploads() {
		return ""
	}
	return m.tag
}

// uploads says whether the build uploads the files of its events, layers among them.
func (m cacheMiss) uploads() bool {
	if m.flag("remote_build_event_upload") != "all" {
		return false
	}
	asked := m.spec // a default output, mostly
	for group := range strings.SplitSeq(m.flag("output_groups"), ",") {
		switch group {
		case "+blobs", "blobs":
			asked = true
		case "-blobs":
			asked = m.spec
		}
	}
	return asked
}

// withheld says whether the build is told not to upload what it makes itself.
func (m cacheMiss) withheld() bool {
	return m.flag("remote_upload_local_results") == "false" && m.flag("remote_executor") == "" && !m.uploads()
}

// keptByFlag says whether a flag does to it what a tag would.
func (m cacheMiss) keptByFlag() bool {
	if m.uploads() {
		return false
	}
	mnemonic := "ImageLayer"
	if m.spec {
		mnemonic = "PushSpec"
	}
	for part := range strings.SplitSeq(m.flag("modify_execution_info"), ",") {
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

// cacheMiss is all that tells why the remote cache lacks something.
type cacheMiss struct {
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
func (m cacheMiss) why() string {
	cause, step := m.elsewhere()
	if cause == "" {
		cause, step = m.cause()
	}
	return cause + " " + step
}
