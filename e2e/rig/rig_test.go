package rig_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/drayage/drayage/e2e/rig"
)

func TestRegistriesAnswerThroughAProxyThatRecords(t *testing.T) {
	for name, start := range map[string]func(rig.T) *rig.Registry{"3": rig.StartRegistry, "2.8": rig.StartOldRegistry} {
		t.Run(name, func(t *testing.T) {
			proxy := rig.StartProxy(t, start(t).Host)
			response, err := http.Post("http://"+proxy.Host+"/v2/app/blobs/uploads/", "", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if location := response.Header.Get("Location"); !strings.Contains(location, proxy.Host) && !strings.HasPrefix(location, "/") {
				t.Errorf("the upload's location %q leads past the proxy", location)
			}
			// The answer is recorded once it is sent, and may be here before that.
			rig.WaitFor(t, 10*time.Second, "the proxy's record", func() error {
				requests := proxy.Requests()
				if len(requests) != 1 || requests[0].Method != http.MethodPost || requests[0].Status != http.StatusAccepted {
					return fmt.Errorf("it is %+v", requests)
				}
				return nil
			})
		})
	}
}

func TestAProxyMayCutTheConnection(t *testing.T) {
	proxy := rig.StartProxy(t, rig.StartRegistry(t).Host)
	proxy.Break(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
	if response, err := http.Get("http://" + proxy.Host + "/v2/"); err == nil {
		response.Body.Close()
		t.Error("a broken proxy answers")
	}
	proxy.Break(nil)
	response, err := http.Get("http://" + proxy.Host + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

func TestAMeterCountsBothDirections(t *testing.T) {
	cache := rig.StartBazelRemote(t)
	meter := rig.StartMeter(t, strings.TrimPrefix(cache.HTTP, "http://"))
	response, err := http.Get("http://" + meter.Address + "/status")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	if meter.Sent.Load() == 0 || meter.Received.Load() < int64(len(body)) {
		t.Errorf("counted %d and %d bytes for an answer of %d", meter.Sent.Load(), meter.Received.Load(), len(body))
	}
}

func TestPostgresTakesConnections(t *testing.T) {
	db, err := sql.Open("pgx", rig.StartPostgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var one int
	if err := db.QueryRowContext(t.Context(), "select 1").Scan(&one); err != nil || one != 1 {
		t.Errorf("select 1: %d, %v", one, err)
	}
}

func TestRunStopsWhatAProgramStarted(t *testing.T) {
	var log bytes.Buffer
	var cache *rig.BazelRemote
	err := rig.Run(context.Background(), "program", &log, func(t rig.T) {
		cache = rig.StartBazelRemote(t)
		t.Fatalf("no %s", "luck")
	})
	if fmt.Sprint(err) != "no luck" {
		t.Errorf("the error is %v", err)
	}
	select {
	case <-cache.Exited():
	default:
		t.Error("the cache is still running")
	}
	if !strings.Contains(log.String(), "output of bazel-remote") {
		t.Errorf("the failure's log lacks the server's output: %s", log.String())
	}
}
