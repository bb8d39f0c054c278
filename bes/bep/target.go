package bep

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/drayage/drayage/bes/wire"
)

// targetID names a target, or an aspect on one, in one configuration.
type targetID struct{ label, aspect, configuration string }

// readTargetID reads a TargetCompletedId; and a TargetConfiguredId, which has the
// same fields less the configuration.
func readTargetID(b []byte) (targetID, error) {
	var id targetID
	m := wire.Walk(b)
	for m.Next() {
		var err error
		switch m.Num {
		case 1:
			id.label, err = bounded("label", m.Bytes, maxLabel)
		case 2:
			id.aspect, err = bounded("aspect's name", m.Bytes, maxLabel)
		case 3:
			var configuration []byte
			if configuration, err = wire.Sub(m.Bytes, 1); err == nil {
				id.configuration, err = bounded("configuration's id", configuration, maxShort)
			}
		}
		if err != nil {
			return targetID{}, err
		}
	}
	return id, m.Err
}

// Fields of TargetComplete and OutputGroup.
const (
	completeSuccess = 1
	completeGroup   = 2
	completeTag     = 3

	groupName       = 1
	groupSets       = 3
	groupIncomplete = 4
	groupInline     = 5
)

// completed reports the push specs of a target.
func (s *Scanner) completed(id, payload []byte, found *Found) error {
	const targetCompleted protowire.Number = 5
	success, groups := false, 0
	m := wire.Walk(payload)
	for m.Next() {
		if m.VarintNum == completeSuccess {
			success = m.Varint != 0
		}
		if m.Num == completeGroup {
			groups++
		}
	}
	if m.Err != nil {
		return m.Err
	}
	inner, err := wire.Sub(id, targetCompleted)
	if err != nil {
		return err
	}
	if groups > 0 {
		if err := s.groups(inner, payload, success, found); err != nil {
			return err
		}
	}
	return s.ended(inner, payload, success, found)
}

// groups reports the push specs in the output groups of a target.
func (s *Scanner) groups(inner, payload []byte, success bool, found *Found) error {
	c := completion{scanner: s, id: inner, payload: payload, succeeded: success, found: found}
	// The push spec group goes first: a file that the default group holds as well
	// is reported as one of the former.
	for _, wanted := range [...]bool{true, false} {
		m := wire.Walk(payload)
		for m.Next() {
			if m.Num != completeGroup {
				continue
			}
			if err := c.group(m.Bytes, wanted); err != nil {
				return err
			}
		}
		if m.Err != nil {
			return m.Err
		}
	}
	return nil
}

// completion walks the output groups of one target.
type completion struct {
	scanner   *Scanner
	id        []byte // encoded TargetCompletedId: most targets need no label
	payload   []byte // encoded TargetComplete
	tags      []string
	target    targetID
	named     bool // target is read
	succeeded bool
	found     *Found

	name       string // of the group
	all        bool   // every file of the group counts, whatever its name
	incomplete bool
	lost       bool
	told       bool // of a loss: one for each target is enough
	visited    map[*set]bool
	raw        map[string]bool
	links      int
	reported   map[string]bool
}

// group walks one output group: the push spec group if wanted, and if not the
// default group.
func (c *completion) group(b []byte, wanted bool) error {
	name, err := wire.Sub(b, groupName)
	if err != nil {
		return err
	}
	if wanted != bytes.Equal(name, c.scanner.group) {
		return nil
	}
	if !wanted && string(name) != "default" {
		return nil
	}
	c.all = wanted
	c.incomplete, c.lost = false, false
	c.name = "default"
	if wanted {
		c.name = c.scanner.options.OutputGroup
	}
	m := wire.Walk(b)
	for m.Next() {
		if m.VarintNum == groupIncomplete {
			c.incomplete = m.Varint != 0
		}
	}
	if m.Err != nil {
		return m.Err
	}
	m = wire.Walk(b)
	for m.Next() {
		switch m.Num {
		case groupSets:
			link, err := wire.Sub(m.Bytes, 1)
			if err != nil {
				return err
			}
			if err := c.link(link); err != nil {
				return err
			}
		case groupInline:
			if err := c.encoded(m.Bytes); err != nil {
				return err
			}
		}
	}
	if c.lost && !c.told {
		if err := c.read(); err != nil {
			return err
		}
		c.told = true
		c.found.Lost = append(c.found.Lost, LostGroup{
			Label: c.target.label, Aspect: c.target.aspect, Configuration: c.target.configuration, OutputGroup: c.name,
		})
	}
	return nil
}

// link follows a reference to a set.
func (c *completion) link(id []byte) error {
	if c.links++; c.links > maxSpecsPerEvent {
		return fmt.Errorf("one target refers to more than %d sets", maxSpecsPerEvent)
	}
	kept := c.scanner.sets[string(id)]
	if c.all {
		if raw, ok := c.scanner.window.find(id); ok {
			return c.rawSet(id, raw)
		}
		// A kept set holds every file with the suffix, which is as much as can be
		// known; of one that was not kept nothing is.
		c.lost = c.lost || kept == nil
	}
	if kept != nil {
		return c.keptSet(kept)
	}
	return nil
}

// rawSet takes every file of a set in the window.
func (c *completion) rawSet(id, raw []byte) error {
	if c.raw[string(id)] {
		return nil
	}
	if c.raw == nil {
		c.raw = make(map[string]bool)
	}
	c.raw[string(id)] = true
	m := wire.Walk(raw)
	for m.Next() {
		switch m.Num {
		case setFiles:
			if err := c.encoded(m.Bytes); err != nil {
				return err
			}
		case setLinks:
			link, err := wire.Sub(m.Bytes, 1)
			if err != nil {
				return err
			}
			if err := c.link(link); err != nil {
				return err
			}
		}
	}
	return m.Err
}

// keptSet takes the files of a set and of all that it leads to. It uses a list and
// not recursion: sets nest as deeply as whoever wrote the event likes.
func (c *completion) keptSet(first *set) error {
	if c.visited == nil {
		c.visited = make(map[*set]bool)
	}
	todo := []*set{first}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if c.visited[next] {
			continue
		}
		c.visited[next] = true
		for i := range next.files {
			if err := c.file(next.files[i]); err != nil {
				return err
			}
		}
		todo = append(todo, next.links...)
	}
	return nil
}

// encoded takes a file as it lies in an event, if it counts in this group.
func (c *completion) encoded(b []byte) error {
	if !c.all {
		file, ok, err := c.scanner.matching(b)
		if err != nil || !ok {
			return err
		}
		return c.file(file)
	}
	file, ok, err := readFile(b)
	if err != nil || !ok {
		return err
	}
	return c.file(file)
}

// file reports a push spec, once for this event.
func (c *completion) file(file File) error {
	identity := file.identity()
	if c.reported[identity] {
		return nil
	}
	if len(c.reported) >= maxSpecsPerEvent {
		return fmt.Errorf("one target yields more than %d push specs", maxSpecsPerEvent)
	}
	if c.reported == nil {
		c.reported = make(map[string]bool)
	}
	c.reported[identity] = true
	if err := c.read(); err != nil {
		return err
	}
	_, repeated := c.scanner.reported[identity]
	if file.Contents != nil && !repeated && !c.scanner.inline(c.target.label, len(file.Contents)) {
		return nil
	}
	if !repeated && c.scanner.keep(int64(len(identity)+48)) {
		c.scanner.reported[identity] = struct{}{}
	}
	c.found.Specs = append(c.found.Specs, SpecFile{
		Label:         c.target.label,
		Aspect:        c.target.aspect,
		Configuration: c.target.configuration,
		TargetKind:    c.scanner.kinds.kind(c.target),
		OutputGroup:   c.name,
		Incomplete:    c.incomplete,
		Succeeded:     c.succeeded,
		Tags:          c.tags,
		Repeated:      repeated,
		File:          file,
	})
	return nil
}

// read decodes which target this is, the first time that it matters.
func (c *completion) read() error {
	if c.named {
		return nil
	}
	target, err := readTargetID(c.id)
	if err != nil {
		return err
	}
	c.target, c.named = target, true
	c.tags, err = readTags(c.payload)
	return err
}

// maxTags and maxTag bound what is kept of a target's tags: how many, and of how many
// bytes each.
const (
	maxTags = 32
	maxTag  = 64
)

// readTags reads the tags of a TargetComplete.
func readTags(payload []byte) ([]string, error) {
	var tags []string
	m := wire.Walk(payload)
	for m.Next() {
		if m.Num == completeTag && len(tags) < maxTags && len(m.Bytes) <= maxTag {
			tags = append(tags, text(m.Bytes))
		}
	}
	return tags, m.Err
}
