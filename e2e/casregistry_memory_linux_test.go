package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// Manifests that are made to take much memory take little of it, however many come at
// once.
func TestManyLargeManifestsDoNotFillTheDaemonsMemory(t *testing.T) {
	t.Parallel()
	address := rig.FreeAddress(t)
	daemon := rig.StartDrayaged(t, rig.DaemonConfig{CAS: rig.StartBazelRemote(t).GRPC, More: map[string]any{
		"cas_registry": map[string]any{"listen": address, "folder": filepath.Join(rig.TempDir(t), "images")},
	}})
	var names strings.Builder
	for i := 0; names.Len() < 4<<20-30; i++ {
		fmt.Fprintf(&names, `"%s":0,`, strconv.FormatInt(int64(i), 36))
	}
	bodies := []string{
		"{" + names.String() + `"":0}`,
		`{"annotations":{` + names.String() + `"":0}}`,
		`{"layers":[` + strings.Repeat("{},", 1<<20) + "{}]}",
		strings.Repeat(`{"a":`, 500_000),
	}
	var done sync.WaitGroup
	for i := range 48 {
		done.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+address+"/v2/a/app/manifests/"+strconv.Itoa(i), strings.NewReader(bodies[i%len(bodies)]))
			if err != nil {
				t.Error(err)
				return
			}
			request.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode >= http.StatusInternalServerError {
				t.Errorf("manifest %d is answered %s", i, response.Status)
			}
		})
	}
	done.Wait()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", daemon.PID()))
	check(t, err)
	for line := range strings.Lines(string(status)) {
		var peak int
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &peak); n == 1 {
			t.Logf("the daemon took %d MiB at most", peak>>10)
			if peak > 256<<10 {
				t.Errorf("the daemon took %d MiB", peak>>10)
			}
			return
		}
	}
	t.Error("the daemon's memory is not known")
}
