// Package dispatch is what happens to a push spec between the stream and the
// ledger. An [Observer] watches the build events: a spec that it finds becomes a
// durable job before its event is acknowledged. A [Worker] does the jobs: it
// reads the spec from the remote cache, fills in its stamp variables, has the
// image hauled, and says what the ledger is to hold.
//
// See docs/decisions/0002-a-job-refers-to-its-push-spec.md.
package dispatch
