package drift_test

import (
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/drift"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

const index = "application/vnd.oci.image.index.v1+json"

// fixture is a registry, and a ledger about it.
type fixture struct {
	t        *testing.T
	registry *registrytest.Registry
	rows     []ledger.Entry
}

func start(t *testing.T, rules registrytest.Rules) *fixture {
	t.Helper()
	return &fixture{t: t, registry: registrytest.Start(t, rules)}
}

// write puts a manifest under a tag, and returns its digest.
func (f *fixture) write(tag, manifest string) string {
	return f.registry.PutManifest("acme/app", tag, index, []byte(manifest))
}

// record adds a row to the ledger.
func (f *fixture) record(outcome ledger.Outcome, digest string, tags ...string) {
	e := ledger.Entry{ID: int64(len(f.rows) + 1), Outcome: outcome, Registry: f.registry.Host, Repository: "acme/app", Digest: digest}
	for _, tag := range tags {
		e.Tags = append(e.Tags, ledger.Tag{Name: tag})
	}
	f.rows = append(f.rows, e)
}

// newestFirst is the ledger as the daemon gives it.
func (f *fixture) newestFirst() iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for _, e := range slices.Backward(f.rows) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (f *fixture) check(options registry.Options) (checked int, differences []string) {
	f.t.Helper()
	client := registry.New(options)
	defer client.Close()
	report, err := drift.Check(f.t.Context(), client, f.newestFirst(), drift.Scope{})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, d := range report.Differences {
		differences = append(differences, strings.ReplaceAll(d.String(), f.registry.Host, "HOST"))
	}
	return report.Checked, differences
}

func (f *fixture) wants(checked int, differences ...string) {
	f.t.Helper()
	gotChecked, got := f.check(registry.Options{})
	if diff := cmp.Diff(differences, got); diff != "" || gotChecked != checked {
		f.t.Errorf("checked %d, want %d; differences (-want +got):\n%s", gotChecked, checked, diff)
	}
}

func TestWhatIsServedAsTheLedgerSaysIsNoDifference(t *testing.T) {
	f := start(t, registrytest.Rules{})
	f.record(ledger.Pushed, f.write("latest", "{}"), "latest")
	// The older row does not hold the tag any more, and need not.
	f.record(ledger.Pushed, f.write("latest", "[]"), "latest")
	f.wants(3)
}

func TestATagThatSomebodyElseMovedIsADifference(t *testing.T) {
	f := start(t, registrytest.Rules{})
	ours := f.write("latest", "{}")
	f.record(ledger.Pushed, ours, "latest")
	theirs := f.write("latest", "[]")
	f.wants(2, "row 1: HOST/acme/app:latest is "+theirs+", but the ledger says "+ours+": something other than the daemon has written it")
}

func TestATagThatAFailedPushMayHaveMovedIsNoDifference(t *testing.T) {
	for _, outcome := range []ledger.Outcome{ledger.Failed, ledger.Cancelled} {
		f := start(t, registrytest.Rules{})
		f.record(ledger.Pushed, f.write("latest", "{}"), "latest")
		f.record(outcome, f.write("latest", "[]"), "latest")
		f.wants(2)
	}
}

func TestAnImageThatWasDeletedIsADifference(t *testing.T) {
	f := start(t, registrytest.Rules{})
	gone := f.write("old", "{}")
	f.registry.Forget("acme/app", gone)
	f.record(ledger.Present, gone)
	f.wants(1, "row 1: HOST/acme/app@"+gone+" is no longer in the registry: somebody deleted it, or the registry's retention did")
}

func TestTheManifestsOfAnIndexAreLookedUpToo(t *testing.T) {
	f := start(t, registrytest.Rules{})
	digest, part := f.write("latest", "{}"), f.write("part", "[]")
	f.record(ledger.Pushed, digest, "latest")
	f.rows[0].Manifests = []ledger.Manifest{{Digest: part}}
	f.wants(3)
	f.registry.Forget("acme/app", part)
	f.wants(3, "row 1: HOST/acme/app@"+part+" is no longer in the registry: somebody deleted it, or the registry's retention did")
}

func TestARegistryThatRefusesIsADifferenceAndNotAbsence(t *testing.T) {
	f := start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
		return &registrytest.Fault{Status: http.StatusForbidden, Code: "DENIED"}
	}})
	digest := f.write("latest", "{}")
	f.record(ledger.Pushed, digest)
	_, got := f.check(registry.Options{})
	if len(got) != 1 || !strings.Contains(got[0], "could not be looked up: ") || !strings.Contains(got[0], "refused access (403)") {
		t.Errorf("differences are %q", got)
	}
}

func TestARegistryWithoutDigestsInItsAnswersIsReadInstead(t *testing.T) {
	var reads atomic.Int64
	f := start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
			reads.Add(1)
		}
		return &registrytest.Fault{Amend: func(status int, header http.Header) int {
			header.Del("Docker-Content-Digest")
			return status
		}}
	}})
	f.record(ledger.Pushed, f.write("latest", "{}"), "latest")
	f.wants(2)
	if reads.Load() == 0 {
		t.Error("no manifest was read")
	}
}

func TestHostSettingsSayHowARegistryIsAsked(t *testing.T) {
	var teams atomic.Int64
	f := start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Header.Get("X-Team") == "acme" {
			teams.Add(1)
		}
		return nil
	}})
	f.record(ledger.Pushed, f.write("latest", "{}"), "latest")
	checked, got := f.check(registry.Options{Hosts: map[string]registry.HostOptions{f.registry.Host: {Headers: map[string]string{"X-Team": "acme"}}}})
	if checked != 2 || len(got) != 0 || teams.Load() < 2 {
		t.Errorf("checked %d, with its header %d times: %q", checked, teams.Load(), got)
	}
}

func TestReadersNeedNoRightToPush(t *testing.T) {
	f := start(t, registrytest.Rules{
		User: "reader", Password: "secret", TokenLife: time.Hour,
		Grants: func(scope string) bool { return !strings.Contains(scope, "push") }, RefusesScopes: true,
	})
	f.record(ledger.Pushed, f.write("latest", "{}"), "latest")
	checked, got := f.check(registry.Options{Keychain: reader{}})
	if checked != 2 || len(got) != 0 {
		t.Errorf("checked %d: %q", checked, got)
	}
}

type reader struct{}

func (reader) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{Username: "reader", Password: "secret"}), nil
}

// last is the row that was recorded last.
func (f *fixture) last() *ledger.Entry { return &f.rows[len(f.rows)-1] }

func TestATagThatWasRolledBackIsWhatItWasBefore(t *testing.T) {
	f := start(t, registrytest.Rules{})
	bad := f.write("latest", "{}")
	f.record(ledger.Pushed, bad, "latest")
	good := f.write("latest", "[]")
	f.record(ledger.RolledBack, bad)
	f.last().Tags = []ledger.Tag{{Name: "latest", Previous: bad, Digest: good}}
	f.wants(2)
	f.write("latest", "{}")
	f.wants(2, "row 2: HOST/acme/app:latest is "+bad+", but the ledger says "+good+": something other than the daemon has written it")
}

func TestATagThatARollbackRemovedIsGone(t *testing.T) {
	f := start(t, registrytest.Rules{})
	bad := f.write("other", "{}")
	f.record(ledger.Pushed, bad, "latest")
	f.record(ledger.RolledBack, bad)
	f.last().Tags = []ledger.Tag{{Name: "latest", Previous: bad, Digest: "none"}}
	f.wants(2)
	f.write("latest", "{}")
	f.wants(2, "row 2: HOST/acme/app:latest is "+bad+", but the ledger says that it was removed: something other than the daemon has written it")
}

func TestAnImageWhoseTagsAreKeptBackIsThereByItsDigestAlone(t *testing.T) {
	for _, outcome := range []ledger.Outcome{ledger.Staged, ledger.Withheld} {
		f := start(t, registrytest.Rules{})
		f.record(ledger.Pushed, f.write("latest", "{}"), "latest")
		f.record(outcome, f.write("other", "[]"))
		f.last().HeldTags = []string{"latest", "new"}
		f.wants(3)
		f.registry.Forget("acme/app", f.last().Digest)
		f.wants(3, "row 2: HOST/acme/app@"+f.last().Digest+" is no longer in the registry: somebody deleted it, or the registry's retention did")
	}
}

func TestATagThatATaggingJobMayHaveMovedIsNoDifference(t *testing.T) {
	f := start(t, registrytest.Rules{})
	f.record(ledger.Pushed, f.write("latest", "{}"), "latest")
	f.record(ledger.Cancelled, f.write("latest", "[]"))
	f.last().Gate, f.last().HeldTags = "green", []string{"latest"}
	f.wants(2)
}

// One of its tags is a newer build's, and the other its own.
func TestASupersededPushWroteItsOtherTags(t *testing.T) {
	f := start(t, registrytest.Rules{})
	f.record(ledger.Pushed, f.write("v1", "{}"), "v1")
	f.record(ledger.Superseded, f.write("v1", "[]"), "v1")
	f.wants(3)
}
