// Package bes is the relay: it serves Bazel's build event stream, forwards every
// event to any number of backends as the bytes that Bazel sent, and tells an
// observer what passes.
//
//	service, err := bes.New(bes.Config{
//		Backends: []bes.Backend{{Address: "grpcs://bes.example.com", Mode: bes.Required}},
//		Observer: observer,
//		Logger:   logger,
//	})
//	…
//	server := grpc.NewServer(bes.ServerOptions()...)
//	service.Register(server)
//
// # Acknowledging
//
// An acknowledgement is a promise: Bazel never sends again what was acknowledged. A
// message is acknowledged when every required backend has acknowledged it and
// everything that the observer wants durable up to it is durable. Acknowledgements are
// sent strictly in order, and once: Bazel does not survive one that comes twice. A
// backend gets each message at once, whatever it has acknowledged: some backends
// acknowledge only at the end.
//
// # Backends
//
// A [Required] backend is as close to Bazel as if nothing were between: its
// acknowledgements are Bazel's, its flow control is Bazel's, and the status that it
// ends the stream with is what Bazel gets, so that Bazel's own retry does its work.
//
// A [BestEffort] backend, the default, never slows or fails Bazel. Its messages are
// kept until it acknowledges them, within bounds, and sent again when its connection
// breaks. Beyond the bounds its stream is given up, which is logged as an error and
// counted. The backend then has a stream that ends early, never one with a hole.
//
// # Reconnections
//
// What is known of an invocation outlives its connection for [Config.Linger]. When
// Bazel comes back and sends again what was not acknowledged, backends that have it
// are not sent it again, and the observer does not see it twice. After a restart the
// relay knows nothing of the stream, which then begins in its middle. It is taken as it
// comes, and [Stream.FirstSequence] says so.
//
// See docs/decisions/0001-push-from-the-build-event-stream.md and
// docs/decisions/0004-best-effort-backends.md.
package bes
