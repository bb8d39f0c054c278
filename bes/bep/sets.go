package bep

import (
	"bytes"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// sets are the named sets that hold a push spec by name, or lead to one.
type sets struct {
	byID map[string]*set
	// open counts the sets with files that no target has claimed.
	open int
}

// set is what is kept of one named set.
type set struct {
	files []File
	links []*set
	// claimed says whether a target was seen to own the set.
	claimed bool
}

// Fields of NamedSetOfFiles.
const (
	setFiles = 1
	setLinks = 2
)

var errNoSetID = errors.New("it has no set id")

// namedSet keeps of a set what a later target can need. A set comes before
// whatever refers to it, so that a link to a set which was not kept leads nowhere.
func (s *Scanner) namedSet(id, payload []byte) error {
	name, err := setID(id)
	if err != nil {
		return err
	}
	var kept *set
	size := int64(len(name)) + 160 // the set, and its place in the map
	m := walk(payload)
	for m.next() {
		switch m.num {
		case setFiles:
			file, ok, err := s.matching(m.bytes)
			if err != nil {
				return err
			}
			if ok {
				kept = orNew(kept)
				kept.files = append(kept.files, file)
				size += file.size()
			}
		case setLinks:
			link, err := sub(m.bytes, 1)
			if err != nil {
				return err
			}
			if target := s.sets.byID[string(link)]; target != nil {
				kept = orNew(kept)
				kept.links = append(kept.links, target)
				size += 8
			}
		}
	}
	if m.err != nil {
		return m.err
	}
	s.window.add(name, payload)
	if kept == nil || s.sets.byID[string(name)] != nil || !s.keep(size) {
		return nil
	}
	if s.sets.byID == nil {
		s.sets.byID = make(map[string]*set)
	}
	s.sets.byID[string(name)] = kept
	if len(kept.files) > 0 {
		s.sets.open++
	}
	return nil
}

func orNew(kept *set) *set {
	if kept == nil {
		return new(set)
	}
	return kept
}

// matching decodes a file if its name has the suffix.
func (s *Scanner) matching(b []byte) (File, bool, error) {
	name, err := fileName(b)
	if err != nil || !bytes.HasSuffix(name, s.suffix) {
		return File{}, false, err
	}
	return readFile(b)
}

// setID reads the id of a named set out of a BuildEventId.
func setID(id []byte) ([]byte, error) {
	const namedSet protowire.Number = 13
	inner, err := sub(id, namedSet)
	if err != nil {
		return nil, err
	}
	name, err := sub(inner, 1)
	if err == nil && len(name) == 0 {
		err = errNoSetID
	}
	return name, err
}
