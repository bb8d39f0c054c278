package bep

import (
	"bytes"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/drayage/drayage/bes/wire"
)

// set is what is kept of one named set: it holds push specs by name, or leads to a
// set that does.
type set struct {
	files []File
	links []*set
}

// Fields of NamedSetOfFiles.
const (
	setFiles = 1
	setLinks = 2
)

var errNoSetID = errors.New("the set has no id")

// namedSet keeps of a set what a later target can need. A set comes before
// whatever refers to it, so that a link to a set which was not kept leads nowhere.
func (s *Scanner) namedSet(id, payload []byte) error {
	name, err := setID(id)
	if err != nil {
		return err
	}
	var kept *set
	var reduced []byte             // payload, less what is not kept
	size := int64(len(name)) + 160 // the set, and its place in the map
	m := wire.Walk(payload)
	for m.Next() {
		switch m.Num {
		case setFiles:
			file, ok, err := s.matching(m.Bytes)
			if err != nil {
				return err
			}
			if ok {
				kept = orNew(kept)
				kept.files = append(kept.files, file)
				reduced = appendField(reduced, setFiles, file.encoded())
				size += file.size()
			}
		case setLinks:
			link, err := wire.Sub(m.Bytes, 1)
			if err != nil {
				return err
			}
			if target := s.sets[string(link)]; target != nil {
				kept = orNew(kept)
				kept.links = append(kept.links, target)
				reduced = appendField(reduced, setLinks, appendField(nil, 1, link))
				size += int64(16 + len(link))
			}
		}
	}
	if m.Err != nil {
		return m.Err
	}
	s.window.add(name, payload)
	if kept == nil || s.sets[string(name)] != nil || !s.keep(size) {
		return nil
	}
	if s.sets == nil {
		s.sets = make(map[string]*set)
	}
	s.sets[string(name)] = kept
	s.found.Remember = record(eventNamedSet, appendField(nil, namedSetID, appendField(nil, 1, name)), reduced)
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

// namedSetID is the field of a BuildEventId.
const namedSetID protowire.Number = 13

// setID reads the id of a named set out of a BuildEventId.
func setID(id []byte) ([]byte, error) {
	inner, err := wire.Sub(id, namedSetID)
	if err != nil {
		return nil, err
	}
	name, err := wire.Sub(inner, 1)
	if err == nil && len(name) == 0 {
		err = errNoSetID
	}
	return name, err
}
