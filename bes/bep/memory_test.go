package bep_test

import (
	"fmt"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/drayage/drayage/bes/bep"
	pb "github.com/drayage/drayage/proto/bep"
)

// TestAMillionSetsOfWhichThreeHoldSpecs keeps the promise that sets under which no
// push spec lies cost nothing, however many there are.
func TestAMillionSetsOfWhichThreeHoldSpecs(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	const sets = 1_000_000
	scanner := bep.NewScanner(bep.Options{})
	var specs []string
	send := func(event []byte) {
		found, err := scanner.Scan(event)
		if err != nil || found.Full || len(found.Lost) > 0 {
			t.Fatalf("Scan: %+v, %v", found, err)
		}
		for _, spec := range found.Specs {
			specs = append(specs, spec.File.Name)
		}
	}
	before := heap()
	var holding []string
	for n := range sets {
		id, link := fmt.Sprint(n), fmt.Sprint(n-1)
		if n == 0 || len(holding) > 0 && holding[len(holding)-1] == link {
			link = "" // else every later set would lead to a push spec
		}
		name := "bin/pkg/output_file_with_a_usual_name"
		if n%(sets/3) == 7 && len(holding) < 3 {
			name = fmt.Sprintf("bin/pkg/%d.pushspec.json", n)
			holding = append(holding, id)
		}
		send(encodedSet(id, name, link))
	}
	grown := heap() - before
	for n, id := range holding {
		b, err := proto.Marshal(completed(fmt.Sprintf("//pkg:%d", n), "", "k8", true, group("default", id)))
		if err != nil {
			t.Fatal(err)
		}
		send(b)
	}
	if len(specs) != 3 {
		t.Errorf("found %v, want 3 push specs", specs)
	}
	if limit := int64(64 << 20); grown > limit {
		t.Errorf("the scanner holds %d bytes, want less than %d", grown, limit)
	}
	t.Logf("a million sets hold %d bytes", grown)
	runtime.KeepAlive(scanner)
}

// encodedSet encodes a set of one file by hand: a million of them are to be had
// quickly.
func encodedSet(id, name, link string) []byte {
	field := func(b []byte, num protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), value)
	}
	setID := func(id string) []byte { return field(nil, 1, []byte(id)) }
	file := field(nil, 1, []byte(name))
	file = field(file, 2, []byte("bytestream://cas:9092/main/blobs/"+hashA+"/7"))
	set := field(nil, 1, file)
	if link != "" {
		set = field(set, 2, setID(link))
	}
	return field(field(nil, 1, field(nil, 13, setID(id))), 15, set)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestUninterestingEventAllocatesNothing(t *testing.T) {
	b, err := proto.Marshal(&pb.BuildEvent{
		Id:      &pb.BuildEventId{Id: &pb.BuildEventId_Progress{Progress: &pb.BuildEventId_ProgressId{OpaqueCount: 7}}},
		Payload: &pb.BuildEvent_Progress{Progress: &pb.Progress{Stderr: "INFO: nothing of note"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	scanner := bep.NewScanner(bep.Options{})
	if n := testing.AllocsPerRun(100, func() { _, _ = scanner.Scan(b) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
