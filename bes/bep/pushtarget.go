package bep

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/drayage/drayage/bes/wire"
)

// PushTarget is what an event says of a target that has, or may have, push specs. It
// says so whether or not the push specs ever come.
//
// See docs/decisions/0016-what-a-build-was-expected-to-push.md.
type PushTarget struct {
	// Label is the target's, as Bazel writes it.
	Label string
	// Configuration is the id of the target's configuration. Empty where the event is
	// about all of them.
	Configuration string
	State         TargetState
	// Reason is Bazel's, or ours. It can be empty.
	Reason string
	// Unsure says that nothing in the stream tells whether the target pushes anything:
	// its kind is not known to, or Bazel never said what it is.
	Unsure bool
}

// TargetState is what Bazel has done about a target.
type TargetState int

// The states. A target is awaited first, and then one of the others.
const (
	// TargetAwaited: Bazel has configured the target, and is to build it.
	TargetAwaited TargetState = iota
	// TargetBuilt: its push specs have come.
	TargetBuilt
	// TargetSkipped: Bazel leaves it alone, as it was told to: it is incompatible with
	// the platform, say.
	TargetSkipped
	// TargetFailed: Bazel could not build it.
	TargetFailed
	// TargetGivenUp: Bazel announced it, and did not come to it.
	TargetGivenUp
	// TargetSilent: it was built, and the stream names no push spec of it.
	TargetSilent
)

// maxReason bounds the text of a reason, in bytes.
const maxReason = 1024

// Reasons that Bazel does not give, or gives as a number.
const (
	reasonSilent    = "the target was built, but the stream names none of its push specs; does --output_groups leave them out?"
	reasonGivenUp   = "the build ended before Bazel came to the target"
	reasonUnexplain = "Bazel does not say why"
)

// configured notes the kind of a target, and reports a push target as awaited.
func (s *Scanner) configured(event, id, payload []byte, found *Found) error {
	inner, err := wire.Sub(id, idTargetConfigured)
	if err != nil {
		return err
	}
	label, aspect, err := labelAndAspect(inner)
	if err != nil {
		return err
	}
	if err := s.noteKind(label, aspect, payload); err != nil {
		return err
	}
	if len(label) == 0 || len(aspect) > 0 {
		return nil
	}
	push, err := s.isPush(payload)
	if err != nil {
		return err
	}
	if !push {
		if s.isAlias(targetID{label: text(label)}) {
			return s.rememberConfigured(label, payload)
		}
		return nil
	}
	name := text(label)
	if _, known := s.pushes[name]; !known {
		if !s.keep(int64(len(name) + 64)) {
			return nil
		}
		if s.pushes == nil {
			s.pushes = make(map[string]bool)
		}
		s.pushes[name] = false
		if err := s.rememberConfigured(label, payload); err != nil {
			return err
		}
	}
	return s.awaited(event, name, found)
}

// rememberConfigured remembers a TargetConfigured, with what is read of it and nothing
// else.
func (s *Scanner) rememberConfigured(label, payload []byte) error {
	kind, err := wire.Sub(payload, configuredKind)
	if err != nil {
		return err
	}
	reduced := appendField(nil, configuredKind, kind[:min(len(kind), maxKind)])
	if push, err := s.isPush(payload); err != nil || push {
		reduced = appendField(reduced, configuredTag, []byte(s.options.PushTag))
	}
	id := appendField(nil, idTargetConfigured, appendField(nil, 1, label))
	s.remember(record(eventConfigured, id, reduced))
	return nil
}

// labelAndAspect reads the two from a TargetConfiguredId.
func labelAndAspect(b []byte) (label, aspect []byte, err error) {
	m := wire.Walk(b)
	for m.Next() {
		switch m.Num {
		case 1:
			label = m.Bytes
		case 2:
			aspect = m.Bytes
		}
	}
	if m.Err == nil && (len(label) > maxLabel || len(aspect) > maxLabel) {
		return nil, nil, fmt.Errorf("the label has %d bytes, and the aspect's name %d; the limit is %d", len(label), len(aspect), maxLabel)
	}
	return label, aspect, m.Err
}

// Fields of TargetConfigured.
const (
	configuredKind = 1
	configuredTag  = 3
)

// isPush tells from a TargetConfigured whether the target pushes something.
func (s *Scanner) isPush(payload []byte) (bool, error) {
	push := false
	m := wire.Walk(payload)
	for m.Next() {
		switch m.Num {
		case configuredKind:
			push = push || slices.Contains(s.options.PushKinds, string(m.Bytes))
		case configuredTag:
			push = push || string(m.Bytes) == s.options.PushTag
		}
	}
	return push, m.Err
}

// awaited reports a push target once for each configuration that the event announces.
func (s *Scanner) awaited(event []byte, label string, found *Found) error {
	const targetCompleted = 5
	m := wire.Walk(event)
	for m.Next() {
		if m.Num != eventChildren {
			continue
		}
		child, err := wire.Sub(m.Bytes, targetCompleted)
		if err != nil {
			return err
		}
		if child == nil {
			continue
		}
		if len(found.Targets) >= maxConfigurations {
			s.refusef("%s is announced in more than %d configurations; the rest is left out", label, maxConfigurations)
			break
		}
		id, err := readTargetID(child)
		if err != nil {
			return err
		}
		found.Targets = append(found.Targets, PushTarget{Label: label, Configuration: id.configuration})
	}
	if len(found.Targets) == 0 {
		found.Targets = []PushTarget{{Label: label}}
	}
	return m.Err
}

// ended reports how the build of a target ended, of whose push specs found holds what
// there is.
func (s *Scanner) ended(id, payload []byte, success bool, found *Found) error {
	if success && len(s.pushes) == 0 {
		return nil
	}
	target, err := readTargetID(id)
	if err != nil || target.aspect != "" {
		return err
	}
	_, push := s.pushes[target.label]
	end := PushTarget{Label: target.label, Configuration: target.configuration, State: TargetBuilt, Unsure: !push}
	switch {
	case len(found.Specs) > 0 || len(found.Lost) > 0:
		if !push {
			return nil // the push specs speak for themselves
		}
	case success:
		if !push {
			return nil
		}
		end.State, end.Reason = TargetSilent, reasonSilent
	default:
		s.noteAlias(target, found)
		end.State = TargetFailed
		if end.Reason, err = failure(payload); err != nil {
			return err
		}
	}
	found.Targets = append(found.Targets, end)
	return nil
}

// noteAlias counts an alias that was not built: it may stand for a push target, and Bazel
// does not say for which.
func (s *Scanner) noteAlias(target targetID, found *Found) {
	if s.isAlias(target) {
		s.invocation.Unconfigured++
		found.Changed = true
	}
}

func (s *Scanner) isAlias(target targetID) bool { return s.kinds.kind(target) == "alias rule" }

// failure is why a TargetComplete says that the target was not built.
func failure(payload []byte) (string, error) {
	const failureDetail, message = 9, 1
	detail, err := wire.Sub(payload, failureDetail)
	if err != nil {
		return "", err
	}
	reason, err := wire.Sub(detail, message)
	if err != nil || len(reason) == 0 {
		return reasonUnexplain, err
	}
	return shortened(reason), nil
}

func shortened(reason []byte) string {
	return text(bytes.TrimSpace(reason[:min(len(reason), maxReason)]))
}

// Why an event was aborted: numbers of build_event_stream.Aborted.AbortReason.
const (
	abortSkipped   = 7
	abortNoAnalyze = 8
	abortNoBuild   = 9
)

// aborted reads what will not come.
func (s *Scanner) aborted(event, id, payload []byte, found *Found) error {
	var reason uint64
	var description []byte
	m := wire.Walk(payload)
	for m.Next() {
		if m.VarintNum == 1 {
			reason = m.Varint
		}
		if m.Num == 2 {
			description = m.Bytes
		}
	}
	if m.Err != nil {
		return m.Err
	}
	kind, target, err := abortedID(id)
	if err != nil {
		return err
	}
	skipped := reason == abortSkipped || reason == abortNoAnalyze || reason == abortNoBuild
	switch kind {
	case idConfiguredLabel, idUnconfiguredLabel:
		// No target that was asked for, but what one of those depends on, or itself.
		s.noteCause(target.label, description)
	case idPattern:
		if !skipped {
			s.invocation.Unconfigured++
			found.Changed = true
		}
	case idTargetCompleted, idTargetConfigured:
		if target.label == "" || target.aspect != "" {
			return nil
		}
		end := PushTarget{Label: target.label, Configuration: target.configuration, State: TargetGivenUp, Reason: shortened(description)}
		over, push := s.pushes[target.label]
		if over {
			return nil // Bazel says it of the target, and then of each configuration
		}
		if push && kind == idTargetConfigured {
			s.pushes[target.label] = true
		}
		end.Unsure = !push
		if skipped {
			end.State = TargetSkipped
		} else if end.Reason == "" {
			if end.Reason, err = s.cause(event); err != nil {
				return err
			}
		}
		switch {
		case push, skipped:
		case kind == idTargetCompleted:
			s.noteAlias(target, found)
		case s.kinds.kind(target) == "":
			s.invocation.Unconfigured++
			found.Changed = true
		}
		if push || !skipped {
			found.Targets = append(found.Targets, end)
		}
	}
	return nil
}

// Fields of BuildEventId that an aborted event can have.
const (
	idPattern           protowire.Number = 4
	idTargetCompleted   protowire.Number = 5
	idTargetConfigured  protowire.Number = 16
	idUnconfiguredLabel protowire.Number = 19
	idConfiguredLabel   protowire.Number = 21
)

// abortedID reads what an aborted event stands in for. The kind is zero where that is
// nothing that matters.
func abortedID(id []byte) (kind protowire.Number, target targetID, err error) {
	m := wire.Walk(id)
	for m.Next() {
		switch m.Num {
		case idTargetCompleted, idTargetConfigured:
			target, err = readTargetID(m.Bytes)
			return m.Num, target, err
		case idUnconfiguredLabel, idConfiguredLabel:
			label, err := wire.Sub(m.Bytes, 1)
			if err != nil {
				return 0, targetID{}, err
			}
			target.label, err = bounded("label", label, maxLabel)
			return m.Num, target, err
		case idPattern:
			return m.Num, targetID{}, nil
		}
	}
	return 0, targetID{}, m.Err
}

// noteCause keeps why a label is the end of what depends on it: Bazel says it there,
// and not of the targets.
func (s *Scanner) noteCause(label string, description []byte) {
	if len(description) == 0 || s.causes[label] != "" {
		return
	}
	cause := shortened(description)
	if s.keep(int64(len(label) + len(cause) + 64)) {
		if s.causes == nil {
			s.causes = make(map[string]string)
		}
		s.causes[label] = cause
	}
}

// cause is what was noted of the first label that an aborted event refers to.
func (s *Scanner) cause(event []byte) (string, error) {
	m := wire.Walk(event)
	for m.Next() {
		if m.Num != eventChildren {
			continue
		}
		_, child, err := abortedID(m.Bytes)
		if err != nil {
			return "", err
		}
		if cause := s.causes[child.label]; cause != "" {
			return cause, nil
		}
	}
	return reasonGivenUp, m.Err
}

// expanded notes that Bazel knows which targets are meant.
func (s *Scanner) expanded() {
	if s.knowsTargets {
		return
	}
	s.knowsTargets = true
	s.remember(record(eventExpanded, nil, nil))
}
