package server_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/server"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
	bepb "github.com/drayage/drayage/proto/bep"
)

// buildEvents are those of a build with one push, whose metadata say its version.
func buildEvents(t *testing.T, version string, pushes int) [][]byte {
	t.Helper()
	var events [][]byte
	add := func(event *bepb.BuildEvent) {
		data, err := proto.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, data)
	}
	add(&bepb.BuildEvent{
		Id:      &bepb.BuildEventId{Id: &bepb.BuildEventId_BuildMetadata{BuildMetadata: &bepb.BuildEventId_BuildMetadataId{}}},
		Payload: &bepb.BuildEvent_BuildMetadata{BuildMetadata: &bepb.BuildMetadata{Metadata: map[string]string{"VERSION": version}}},
	})
	for i := range pushes {
		label := "//:push" + strings.Repeat("x", i)
		add(&bepb.BuildEvent{
			Id: &bepb.BuildEventId{Id: &bepb.BuildEventId_TargetCompleted{TargetCompleted: &bepb.BuildEventId_TargetCompletedId{Label: label}}},
			Payload: &bepb.BuildEvent_Completed{Completed: &bepb.TargetComplete{Success: true, OutputGroup: []*bepb.OutputGroup{{
				Name: "push_spec", InlineFiles: []*bepb.File{{Name: label + ".pushspec.json", File: &bepb.File_Contents{Contents: []byte(label)}}},
			}}}},
		})
	}
	return events
}

// upload sends a build's events with a token, or without one.
func upload(t *testing.T, d *server.Daemon, token, invocation string, events [][]byte) bestest.Outcome {
	t.Helper()
	bazel := &bestest.Bazel{
		Target: d.Listen, BuildID: "build", InvocationID: invocation, Events: events, RetryDelay: 10 * time.Millisecond,
	}
	if token != "" {
		bazel.Header = metadata.Pairs("x-drayage-token", token)
	}
	return bazel.Run(t.Context())
}

// kept is what is in a store whose daemon has stopped.
func kept(t *testing.T, url, invocation string) (known store.Invocation, found bool, rows []ledger.Entry, expected []ledger.Expected) {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if known, found, err = s.Invocation(t.Context(), invocation); err != nil {
		t.Fatal(err)
	}
	if rows, err = s.Entries(t.Context(), ledger.Query{Limit: ledger.MaxLimit}); err != nil {
		t.Fatal(err)
	}
	if expected, err = s.Expected(t.Context(), invocation); err != nil {
		t.Fatal(err)
	}
	return known, found, rows, expected
}

const (
	victimToken   = "the token of the victim, long enough"
	attackerToken = "the token of the attacker, as long"
)

// twoClients is a configuration with two clients that may push, whoever is without a token
// among them.
func twoClients(t *testing.T, url string) server.Config {
	t.Helper()
	c := config(t)
	c.Store = url
	c.Policy = &server.Policy{
		Tokens: []server.PolicyToken{
			{Name: "victim", SecretFile: write(t, "victim", victimToken)}, {Name: "attacker", SecretFile: write(t, "attacker", attackerToken)},
		},
		Rules: []server.PolicyRule{{Name: "all", Repositories: []string{"ghcr.io/acme/**"}}},
	}
	return c
}

func TestWhoKnowsAnInvocationBeforehandGetsNothingIntoAnothersBuild(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		for name, row := range map[string]struct{ first, second, owner string }{
			"the victim is first":                    {victimToken, attackerToken, "token:victim"},
			"the attacker is first":                  {attackerToken, victimToken, "token:attacker"},
			"an attacker without a token is first":   {"", victimToken, ""},
			"an attacker without a token comes late": {victimToken, "", "token:victim"},
		} {
			t.Run(name, func(t *testing.T) {
				c := twoClients(t, driver.Migrated(t))
				d := start(t, c)
				if out := upload(t, d, row.first, "inv", buildEvents(t, "1.0", 1)[:1]); out.Exit != bestest.ExitOK {
					t.Fatal(out.Err)
				}
				out := upload(t, d, row.second, "inv", buildEvents(t, "6.6.6", 2))
				if out.Exit != bestest.ExitPermanent || !strings.Contains(out.Err.Error(), "invocation inv belongs to another client") {
					t.Errorf("the second client ends with %d: %v", out.Exit, out.Err)
				}
				if err := d.Stop(); err != nil {
					t.Fatal(err)
				}
				known, _, _, expected := kept(t, c.Store, "inv")
				if known.Owner != row.owner || known.Metadata["VERSION"] != "1.0" || len(expected) != 0 {
					t.Errorf("the invocation of %q has version %q, and %d pushes", known.Owner, known.Metadata["VERSION"], len(expected))
				}
			})
		}
	})
}

func TestAStrangerLeavesNothingInTheStore(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		backend, err := bestest.StartBackend(bestest.Script{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(backend.Stop)
		c := twoClients(t, driver.Migrated(t))
		c.Policy.Rules[0].Clients = []string{"token:victim"}
		c.Backends = []server.Backend{{Address: backend.Address, Mode: "required"}}
		d := start(t, c)
		events := buildEvents(t, strings.Repeat("x", 60<<10), 50)
		if out := upload(t, d, attackerToken, "stranger", events); out.Exit != bestest.ExitOK {
			t.Errorf("its build ends with %d: %v", out.Exit, out.Err)
		}
		if n := len(backend.Stored("stranger")); n != len(events)+1 {
			t.Errorf("the backend has %d messages, want all %d", n, len(events)+1)
		}
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		if known, found, rows, expected := kept(t, c.Store, "stranger"); found || len(rows)+len(expected) > 0 {
			t.Errorf("%+v is kept, with %d rows and %d expected pushes", known, len(rows), len(expected))
		}
	})
}

func TestThePolicySaysWhoSendsBuildEvents(t *testing.T) {
	backend, err := bestest.StartBackend(bestest.Script{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Stop)
	c := twoClients(t, config(t).Store)
	c.Policy.Stream = []string{"token:victim"}
	c.Backends = []server.Backend{{Address: backend.Address, Mode: "required"}}
	d := start(t, c)
	for token, client := range map[string]string{"": "address:127.0.0.1", attackerToken: "token:attacker"} {
		out := upload(t, d, token, "refused", buildEvents(t, "1", 1))
		if out.Exit != bestest.ExitPermanent || out.Streams != 1 || !strings.Contains(out.Err.Error(), client+" may not send build events to this daemon") {
			t.Errorf("%s ends with %d after %d streams: %v", client, out.Exit, out.Streams, out.Err)
		}
	}
	if out := upload(t, d, victimToken, "admitted", buildEvents(t, "1", 1)); out.Exit != bestest.ExitOK {
		t.Errorf("a client of the list ends with %d: %v", out.Exit, out.Err)
	}
	if len(backend.Stored("refused")) > 0 || len(backend.Stored("admitted")) == 0 {
		t.Error("the backend has not got what it should: the events of the admitted client alone")
	}
}

func TestALimitOfAClientEndsNoBuild(t *testing.T) {
	c := twoClients(t, config(t).Store)
	c.Limits.Rows = 3
	d := start(t, c)
	for _, invocation := range []string{"first", "second", "third"} {
		if out := upload(t, d, attackerToken, invocation, buildEvents(t, "1", 4)); out.Exit != bestest.ExitOK {
			t.Errorf("the %s build ends with %d: %v", invocation, out.Exit, out.Err)
		}
	}
	if out := upload(t, d, victimToken, "other", buildEvents(t, "1", 1)); out.Exit != bestest.ExitOK {
		t.Errorf("another client's build ends with %d: %v", out.Exit, out.Err)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, invocation := range []string{"first", "second", "third"} {
		_, found, _, expected := kept(t, c.Store, invocation)
		lost := 0
		for _, e := range expected {
			if e.State == ledger.ExpectedLost {
				lost++
			} else {
				made++
			}
		}
		if found {
			made++
		}
		if found && lost != 1 {
			t.Errorf("the %s build has %d rows of lost pushes, want one that says why", invocation, lost)
		}
	}
	if made > 3 || made == 0 {
		t.Errorf("%d invocations and pushes are kept, and the limit is 3", made)
	}
	if _, found, _, expected := kept(t, c.Store, "other"); !found || len(expected) != 1 {
		t.Errorf("of the other client %d pushes are kept", len(expected))
	}
}

func TestTheMetadataOfABuildIsInTheDatabaseAFewTimesHoweverManyPushesFail(t *testing.T) {
	c := twoClients(t, config(t).Store)
	c.Hold.Always = true // the build ends when its pushes have
	d := start(t, c)
	if out := upload(t, d, attackerToken, "inv", buildEvents(t, strings.Repeat("x", 60<<10), 50)); out.Exit != bestest.ExitPermanent {
		t.Errorf("a held build whose push specs cannot be read ends with %d: %v", out.Exit, out.Err)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	_, found, rows, _ := kept(t, c.Store, "inv")
	for _, row := range rows {
		if len(row.Metadata["VERSION"]) != 60<<10 {
			t.Errorf("row %d has a version of %d bytes", row.ID, len(row.Metadata["VERSION"]))
		}
	}
	info, err := os.Stat(c.Store)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the database has %d KiB", info.Size()>>10)
	if !found || len(rows) != 50 || info.Size() > 2<<20 {
		t.Errorf("%d rows, and the database has %d KiB; want 50 rows, and less than the 3000 KiB of their metadata", len(rows), info.Size()>>10)
	}
}
