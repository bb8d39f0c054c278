package bep

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/drayage/drayage/bes/wire"
)

// Scanner reads the events of one stream. It is not safe for concurrent use.
type Scanner struct {
	options Options
	group   []byte // options.OutputGroup
	suffix  []byte // options.FileSuffix

	sets       map[string]*set
	window     window
	kinds      kinds
	reported   map[string]struct{}
	pushes     map[string]bool   // labels of push targets, and whether they are given up in every configuration
	causes     map[string]string // why labels cannot be configured
	invocation Invocation
	// knowsTargets is set once Bazel has said which targets are meant.
	knowsTargets bool

	kept    int64
	inlined int64
	full    bool
	// found is what Scan is about to return: it lies here to cost no allocation an event.
	found Found
}

// Found is what one event said.
type Found struct {
	// Specs are the push specs that the event tells of, nil in nearly every event.
	Specs []SpecFile

	// Lost are the push spec groups of which not every file could be found, because
	// they refer to sets that came before the stream that was seen, or that were
	// not kept. Whoever calls must say so loudly: a push is missing.
	Lost []LostGroup

	// Targets say what became of push targets, and of those that may be some.
	Targets []PushTarget

	// Changed says whether [Scanner.Invocation] changed.
	Changed bool

	// Remember are records of what later events can need. Bazel does not send
	// again what was acknowledged: whoever acknowledges the event keeps them first,
	// and after a crash gives them to [Scanner.Recall]. They hold what is read and
	// nothing else of the event: no command line, and no secret in it.
	Remember [][]byte

	// Refused says in words what of the event is over its bound, for the log.
	Refused []string

	// Full is true once, on the event with which [Options.MaxBytes] was reached.
	Full bool
}

// SpecFile is a push spec that a target yields.
type SpecFile struct {
	// Label is the target's, as Bazel writes it: "//app:push", "@@repo//app:push".
	Label string
	// Aspect is the aspect that yields the file; empty for the target itself.
	Aspect string
	// Configuration is the id of the target's configuration, opaque and of use in
	// this stream only.
	Configuration string
	// TargetKind is what Bazel calls the rule, "alias rule" for example. Empty where
	// it was not said or not kept.
	TargetKind string
	// OutputGroup is the group that the file was found in.
	OutputGroup string
	// Incomplete is true where Bazel says that files of this group are missing.
	Incomplete bool
	// Succeeded is true where the whole target was built. A push spec can be good
	// although another output of its target failed.
	Succeeded bool
	// Tags are the target's, as many as are kept.
	Tags []string
	// Repeated is true where the stream has yielded a push spec with this digest
	// before: by an alias, by an aspect, or in another configuration.
	Repeated bool
	// File is the push spec.
	File File
}

// LostGroup is an output group of which not every file could be found.
type LostGroup struct {
	Label, Aspect, Configuration, OutputGroup string
}

// NewScanner makes a scanner for one stream.
func NewScanner(options Options) *Scanner {
	options = options.withDefaults()
	return &Scanner{
		options:  options,
		group:    []byte(options.OutputGroup),
		suffix:   []byte(options.FileSuffix),
		window:   window{budget: options.WindowBytes},
		reported: make(map[string]struct{}),
	}
}

// Invocation returns what the stream has said about the command so far.
func (s *Scanner) Invocation() Invocation { return s.invocation }

// Fields of build_event_stream.BuildEvent.
const (
	eventID              = 1
	eventChildren        = 2
	eventProgress        = 3
	eventAborted         = 4
	eventStarted         = 5
	eventExpanded        = 6
	eventCompleted       = 8
	eventOptionsParsed   = 13
	eventFinished        = 14
	eventNamedSet        = 15
	eventWorkspaceStatus = 16
	eventConfigured      = 18
	eventBuildMetadata   = 26
)

// Scan reads one event: the bytes of a build_event_stream.BuildEvent, which is the
// value of the Any that Bazel sends. It keeps no reference to them. An error means
// that the event is malformed; the scanner goes on to be usable, and whatever the
// event would have told is not known.
func (s *Scanner) Scan(event []byte) (Found, error) {
	var id, payload []byte
	var kind protowire.Number
	m := wire.Walk(event)
	for m.Next() {
		switch m.Num {
		case eventID:
			id = m.Bytes
		case eventProgress, eventAborted, eventStarted, eventExpanded, eventCompleted, eventOptionsParsed, eventFinished, eventNamedSet,
			eventWorkspaceStatus, eventConfigured, eventBuildMetadata:
			kind, payload = m.Num, m.Bytes
		}
	}
	if m.Err != nil {
		return Found{}, fmt.Errorf("read build event: %w", m.Err)
	}
	if kind == 0 {
		return Found{}, nil
	}
	s.found = Found{}
	wasFull := s.full
	if err := s.payload(kind, parts{event, id, payload}, &s.found); err != nil {
		return Found{}, err
	}
	s.found.Full = s.full && !wasFull
	return s.found, nil
}

// parts are an encoded event, and its id and payload, which lie in it.
type parts struct{ event, id, payload []byte }

func (s *Scanner) payload(kind protowire.Number, of parts, found *Found) error {
	id, payload := of.id, of.payload
	var err error
	switch kind {
	case eventNamedSet:
		err = s.namedSet(id, payload)
	case eventCompleted:
		err = s.completed(id, payload, found)
	case eventConfigured:
		err = s.configured(of.event, id, payload, found)
	case eventStarted:
		found.Changed = true
		err = s.started(payload)
	case eventExpanded:
		s.expanded()
	case eventOptionsParsed:
		found.Changed = true
		err = s.optionsParsed(payload)
	case eventProgress:
		found.Changed, err = s.progress(payload)
	case eventFinished:
		found.Changed = true
		err = s.finished(payload)
	case eventWorkspaceStatus:
		found.Changed = true
		s.invocation.Status, err = s.values(kind, s.invocation.Status, payload)
	case eventBuildMetadata:
		found.Changed = true
		s.invocation.Metadata, err = s.values(kind, s.invocation.Metadata, payload)
	case eventAborted:
		err = s.aborted(of.event, id, payload, found)
	}
	if err != nil {
		return fmt.Errorf("read %s event: %w", eventNames[kind], err)
	}
	return nil
}

var eventNames = map[protowire.Number]string{
	eventAborted:         "aborted",
	eventStarted:         "started",
	eventCompleted:       "target completed",
	eventExpanded:        "pattern expanded",
	eventFinished:        "build finished",
	eventNamedSet:        "named set of files",
	eventOptionsParsed:   "options parsed",
	eventProgress:        "progress",
	eventWorkspaceStatus: "workspace status",
	eventConfigured:      "target configured",
	eventBuildMetadata:   "build metadata",
}

// values adds to known what an event of keys and values says, and remembers it.
func (s *Scanner) values(kind protowire.Number, known map[string]string, payload []byte) (map[string]string, error) {
	all, kept, err := s.pairs(eventNames[kind], known, payload)
	if err != nil {
		return known, err
	}
	s.remember(record(kind, nil, kept))
	return all, nil
}

// keep accounts for size bytes that are to be kept for the stream's life, and says
// whether there is room for them.
func (s *Scanner) keep(size int64) bool {
	if s.kept+size > s.options.MaxBytes {
		s.full = true
		return false
	}
	s.kept += size
	return true
}
