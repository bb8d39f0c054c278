package dispatch_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// BenchmarkGatedTags measures how long 1300 tags take to move once their build has ended,
// and, beside it, 1300 manifests that are merely written.
func BenchmarkGatedTags(b *testing.B) {
	const images = 1300
	for _, driver := range sqldbtest.Drivers() {
		b.Run(driver.Name, func(b *testing.B) {
			y := newYard(b, driver)
			stop := y.run(b)
			defer stop()
			var moved, floor, used time.Duration
			for n := range b.N {
				invocation := fmt.Sprintf("build-%d", n)
				jobs := make([]store.Job, images)
				for i := range jobs {
					jobs[i], _ = y.job(b, invocation, fmt.Sprintf("app-%d", i), pushspec.GateGreen, fmt.Sprintf("v%d", n))
				}
				y.build(b, invocation, time.Now(), jobs...)
				began, before := time.Now(), processorTime(b)
				y.end(b, invocation, "SUCCESS")
				y.wait(b, invocation)
				moved += time.Since(began)
				used += processorTime(b) - before
				for i := range jobs {
					if y.pointsTo(fmt.Sprintf("app-%d", i), fmt.Sprintf("v%d", n)) == "" {
						b.Fatalf("tag %d has not moved", i)
					}
				}
				floor += y.puts(b, images)
			}
			b.ReportMetric(float64(moved.Milliseconds())/float64(b.N), "ms-moved")
			b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "ms-cpu")
			b.ReportMetric(float64(floor.Milliseconds())/float64(b.N), "ms-floor")
		})
	}
}

// processorTime is what this process has used, the registry in it included: on a machine
// that has other work to do, it says more than the clock.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// puts writes a manifest that is there under so many new tags, sixteen at once.
func (y *yard) puts(b *testing.B, n int) time.Duration {
	b.Helper()
	manifest, _ := y.fake.Manifest("app-0", "v0")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	work := make(chan int)
	var all sync.WaitGroup
	began := time.Now()
	for range 16 {
		all.Go(func() {
			for i := range work {
				request, err := http.NewRequestWithContext(b.Context(), http.MethodPut, fmt.Sprintf("http://%s/v2/app-0/manifests/floor-%d", y.fake.Host, i), bytes.NewReader(manifest))
				if err != nil {
					b.Error(err)
					return
				}
				response, err := client.Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	all.Wait()
	return time.Since(began)
}
