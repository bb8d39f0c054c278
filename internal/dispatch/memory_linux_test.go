package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// limitedEnv is set in a process that may take only so much memory.
const limitedEnv = "DRAYAGE_TEST_LIMITED"

// memoryForSpecs is what the process may take beyond what Go takes of any, in bytes.
const memoryForSpecs = 384 << 20

// A decode of one such spec once took 2.7 GB.
func TestWorkersThatAreSentHostileSpecsStayWithinTheirMemory(t *testing.T) {
	if os.Getenv(limitedEnv) != "" {
		limited(t)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), limitedEnv+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the process with a limit: %v\n%s", err, out[:min(len(out), 4000)])
	}
}

// limited sends 16 workers large specs, some of which nobody should decode.
func limited(t *testing.T) {
	var virtual, rest int64
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(statm), &virtual, &rest); err != nil {
		t.Fatal(err)
	}
	limit := uint64(virtual*int64(os.Getpagesize()) + memoryForSpecs)
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}

	w, _ := newWorld(t, "latest")
	worker := dispatch.NewWorker(dispatch.WorkerOptions{
		Specs: hostile{}, Hauler: w, Invocations: hostile{}, Releases: w, Tags: w, Blobs: w, Policy: w, Workers: 16, Logger: zerolog.Nop(),
	})
	jobs := make(chan int, 48)
	for n := range cap(jobs) {
		jobs <- n
	}
	close(jobs)
	var working sync.WaitGroup
	for range 16 {
		working.Go(func() {
			for n := range jobs {
				for again := true; again; {
					job := store.Job{Invocation: "invocation", Target: "//app:push", Spec: store.SpecRef{Function: "sha256", Hash: fmt.Sprint(n), Size: sizeOfHostile(n)}}
					entry, err := worker.Work(t.Context(), job, store.Attempt{Number: 1, Max: 10})
					_, again = errors.AsType[*store.PostponeError](err)
					if !again && (err != nil || entry.Outcome != ledger.Failed || entry.ErrorClass != "malformed") {
						t.Errorf("job %d: %s, class %q, %v", n, entry.Outcome, entry.ErrorClass, err)
					}
				}
			}
		})
	}
	working.Wait()
}

// hostile is a cache with specs that are there to do harm.
type hostile struct{}

func (hostile) Invocation(context.Context, string) (store.Invocation, bool, error) {
	return store.Invocation{}, false, nil
}

func sizeOfHostile(n int) int64 { return []int64{4 << 20, 16 << 20, pushspec.MaxSize, 512 << 10}[n%4] }

func (hostile) ReadAll(_ context.Context, blob cas.Blob) ([]byte, error) {
	head := fmt.Sprintf(`{"schemaVersion":1,"mediaType":%q,"target":"@@//app:push",`, pushspec.MediaType)
	filler := []string{`{},`, `[`, `{"sources":[{},{},{},{}],"annotations":{"a":"","b":""}},`}[blob.Hash[len(blob.Hash)-1]%3]
	data := make([]byte, 0, blob.Size)
	data = append(data, head+`"blobs":[`...)
	for len(data)+len(filler) <= int(blob.Size) {
		data = append(data, filler...)
	}
	return append(data, strings.Repeat(" ", int(blob.Size)-len(data))...), nil
}
