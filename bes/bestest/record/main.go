// Command record is a BES backend that writes the first stream it is sent to a file,
// for tests:
//
//	record --out stream.bep --replace /home/me=/home/us &
//	bazel build --bes_backend=grpc://ADDRESS //...
//
// ADDRESS is what it prints. What is replaced must be as long as what replaces it, so
// that the messages stay well-formed.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"

	"github.com/drayage/drayage/bes/bestest"
)

func main() {
	out := flag.String("out", "stream.bep", "file to write")
	var pairs replacements
	flag.Var(&pairs, "replace", "FROM=TO, of the same length; can be repeated")
	flag.Parse()
	if err := record(*out, pairs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func record(out string, pairs replacements) error {
	var invocation string
	finished := make(chan struct{})
	backend, err := bestest.StartBackend(bestest.Script{
		OnLifecycle: func(_ context.Context, request *buildv1.PublishLifecycleEventRequest) error {
			event := request.GetBuildEvent()
			switch event.GetEvent().GetEvent().(type) {
			case *buildv1.BuildEvent_InvocationAttemptFinished_:
				invocation = event.GetStreamId().GetInvocationId()
			case *buildv1.BuildEvent_BuildFinished_:
				close(finished)
			}
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	fmt.Println(backend.Address)
	<-finished
	backend.Close() // once Bazel has its answer
	requests := backend.Stored(invocation)
	for n := range requests {
		for _, pair := range pairs {
			requests[n] = bytes.ReplaceAll(requests[n], []byte(pair[0]), []byte(pair[1]))
		}
	}
	return bestest.WriteRecording(out, requests)
}

// replacements are pairs of strings of the same length.
type replacements [][2]string

func (r *replacements) String() string { return "" }

func (r *replacements) Set(value string) error {
	from, to, ok := strings.Cut(value, "=")
	if !ok || len(from) != len(to) || from == "" {
		return errors.New("FROM=TO must be of the same length")
	}
	*r = append(*r, [2]string{from, to})
	return nil
}
