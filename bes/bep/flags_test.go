package bep_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/bes/bep"
	pb "github.com/drayage/drayage/proto/bep"
)

func optionsParsed(args ...string) *pb.BuildEvent {
	return &pb.BuildEvent{
		Id:      &pb.BuildEventId{Id: &pb.BuildEventId_OptionsParsed{OptionsParsed: &pb.BuildEventId_OptionsParsedId{}}},
		Payload: &pb.BuildEvent_OptionsParsed{OptionsParsed: &pb.OptionsParsed{CmdLine: args}},
	}
}

func TestFlagsOfCachesAreKeptAndNothingElseOfTheCommandLine(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want map[string]string
	}{
		{"none", []string{"--bes_header=x-api-key=secret", "--keep_going"}, map[string]string{"remote_cache": ""}},
		{"a cache with a password", []string{"--remote_cache=grpc://me:secret@cas:9092", "--disk_cache=/home/secret"}, map[string]string{
			"remote_cache": "grpc", "disk_cache": "set",
		}},
		{"the last of a flag", []string{"--disk_cache=/d", "--remote_cache=http://cas", "--disk_cache=", "--remote_cache=cas:443"}, map[string]string{
			"remote_cache": "grpcs", "disk_cache": "",
		}},
		{"yes and no", []string{"--noremote_upload_local_results", "--remote_upload_local_results"}, map[string]string{
			"remote_cache": "", "remote_upload_local_results": "true",
		}},
		{"no", []string{"--noremote_upload_local_results"}, map[string]string{"remote_cache": "", "remote_upload_local_results": "false"}},
		{"groups add up", []string{"--output_groups=+blobs", "--output_groups=+push_spec,-blobs"}, map[string]string{
			"remote_cache": "", "output_groups": "+blobs,+push_spec,-blobs",
		}},
		{"a value beyond the limit", []string{"--output_groups=+" + strings.Repeat("a", 2000), "--remote_executor=unix:/run/x"}, map[string]string{"remote_cache": "", "remote_executor": "unix"}},
		{"values that add up beyond the limit", []string{"--output_groups=+" + strings.Repeat("a", 900), "--output_groups=+" + strings.Repeat("b", 900)}, map[string]string{
			"remote_cache": "", "output_groups": "+" + strings.Repeat("a", 900),
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStream(t, bep.Options{})
			if found := s.send(optionsParsed(row.args...)); !found.Changed || len(found.Remember) > 0 {
				t.Errorf("found %+v, want a change and nothing to remember", found)
			}
			if diff := cmp.Diff(row.want, s.scanner.Invocation().Flags); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheURIGivesNoCredentialsAway(t *testing.T) {
	uri, ok := bep.ParseURI("bytestream://me:secret@cas:9092/main/blobs/" + hashA + "/7")
	if !ok || uri.Host != "cas:9092" || uri.Instance != "main" {
		t.Errorf("got %+v, %v", uri, ok)
	}
}

func TestTagsOfATargetComeWithItsSpec(t *testing.T) {
	s := newStream(t, bep.Options{})
	s.send(namedSet("0", []*pb.File{casFile("app/push.pushspec.json", hashA)}))
	event := completed("//app:push", "", "k8", true, group("push_spec", "0"))
	event.GetCompleted().Tag = []string{"no-cache", strings.Repeat("a", 1000), "manual"}
	s.send(event)
	if len(s.specs) != 1 {
		t.Fatalf("found %d specs", len(s.specs))
	}
	if diff := cmp.Diff([]string{"no-cache", "manual"}, s.specs[0].Tags); diff != "" {
		t.Error(diff)
	}
}
