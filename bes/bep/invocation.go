package bep

import (
	"fmt"
	"time"

	"github.com/drayage/drayage/bes/wire"
)

// Invocation is what a stream says about the Bazel command that sends it. Its maps
// and slices are replaced and never changed in place: a copy can be kept.
type Invocation struct {
	// ID is the invocation id that Bazel gives in its first event.
	ID string
	// Command is the Bazel command: "build", "test", "run".
	Command string
	// ToolVersion is Bazel's version.
	ToolVersion string
	// Started is when Bazel says that it began. Zero where it has not said so.
	Started time.Time

	// Status holds what the workspace status command printed: BUILD_SCM_REVISION
	// and the like. Nil until it has come.
	Status map[string]string
	// Metadata holds what was given as --build_metadata. Nil until it has come.
	Metadata map[string]string

	// Flags are those of [KeptFlags] that the command was given, in configuration files
	// too, by their names without dashes. Nil until Bazel has told its options.
	Flags map[string]string
	// Unsent tells of files that Bazel could not upload to the remote cache. Bazel
	// says so to people only, and the build goes on.
	Unsent Unsent

	// Finished says whether Bazel has told the build's outcome.
	Finished bool
	// ExitName is Bazel's name of its exit code: "SUCCESS", "BUILD_FAILURE".
	ExitName string
	// ExitCode is Bazel's exit code. 0 means nothing unless Finished.
	ExitCode int
	// FinishedAt is when Bazel says that the build ended.
	FinishedAt time.Time

	// Unconfigured counts the targets and patterns that Bazel gave up before it said what
	// they are, and the aliases that were not built, so that nobody knows whether they would
	// have pushed anything. It is 1 where the build failed before there was any.
	Unconfigured int
}

func (s *Scanner) started(b []byte) error {
	inv := &s.invocation
	var reduced []byte // b, less the command line
	var millis int64
	var start time.Time
	m := wire.Walk(b)
	for m.Next() {
		if m.VarintNum == 2 {
			millis = int64(m.Varint)
			reduced = appendVarint(reduced, m.VarintNum, m.Varint)
		}
		switch m.Num {
		case 1:
			inv.ID = s.short("invocation id", m.Bytes)
		case 3:
			inv.ToolVersion = s.short("version of Bazel", m.Bytes)
		case 5:
			inv.Command = s.short("command", m.Bytes)
		case 9:
			t, err := readTimestamp(m.Bytes)
			if err != nil {
				return fmt.Errorf("read start time: %w", err)
			}
			start = t
		default:
			continue
		}
		reduced = appendField(reduced, m.Num, m.Bytes[:min(len(m.Bytes), maxShort)])
	}
	inv.Started = orMillis(start, millis)
	s.remember(record(eventStarted, nil, reduced))
	return m.Err
}

func (s *Scanner) finished(b []byte) error {
	inv := &s.invocation
	var millis int64
	var finish time.Time
	m := wire.Walk(b)
	for m.Next() {
		if m.VarintNum == 2 {
			millis = int64(m.Varint)
		}
		switch m.Num {
		case 3:
			code := wire.Walk(m.Bytes)
			for code.Next() {
				if code.Num == 1 {
					inv.ExitName = s.short("exit code's name", code.Bytes)
				}
				if code.VarintNum == 2 {
					inv.ExitCode = int(int32(code.Varint))
				}
			}
			if code.Err != nil {
				return fmt.Errorf("read exit code: %w", code.Err)
			}
		case 5:
			t, err := readTimestamp(m.Bytes)
			if err != nil {
				return fmt.Errorf("read finish time: %w", err)
			}
			finish = t
		}
	}
	inv.Finished = true
	if inv.ExitCode != 0 && !s.knowsTargets {
		inv.Unconfigured = max(inv.Unconfigured, 1)
	}
	inv.FinishedAt = orMillis(finish, millis)
	return m.Err
}

func readTimestamp(b []byte) (time.Time, error) {
	var seconds, nanos int64
	m := wire.Walk(b)
	for m.Next() {
		switch m.VarintNum {
		case 1:
			seconds = int64(m.Varint)
		case 2:
			nanos = int64(int32(m.Varint))
		}
	}
	return plausible(time.Unix(seconds, nanos).UTC()), m.Err
}

// orMillis prefers the timestamp to the milliseconds that older versions of Bazel
// send in its place.
func orMillis(t time.Time, millis int64) time.Time {
	if t.IsZero() && millis != 0 {
		return plausible(time.UnixMilli(millis).UTC())
	}
	return t
}
