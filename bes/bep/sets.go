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
func (s *Scanner) namedSet(id, payload []byte) (remember [][]byte, err error) {
	name, err := setID(id)
	if err != nil {
		return nil, err
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
				return nil, err
			}
			if ok {
				kept = orNew(kept)
				kept.files = append(kept.files, file)
				reduced = appendField(reduced, setFiles, m.Bytes)
				size += file.size()
			}
		case setLinks:
			link, err := wire.Sub(m.Bytes, 1)
			if err != nil {
				return nil, err
			}
			if target := s.sets[string(link)]; target != nil {
				kept = orNew(kept)
				kept.links = append(kept.links, target)
				reduced = appendField(reduced, setLinks, m.Bytes)
				size += 8
			}
		}
	}
	if m.Err != nil {
		return nil, m.Err
	}
	s.window.add(name, payload)
	if kept == nil || s.sets[string(name)] != nil || !s.keep(size) {
		return nil, nil
	}
	if s.sets == nil {
		s.sets = make(map[string]*set)
	}
	s.sets[string(name)] = kept
	return record(eventNamedSet, id, reduced), nil
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
	inner, err := wire.Sub(id, namedSet)
	if err != nil {
		return nil, err
	}
	name, err := wire.Sub(inner, 1)
	if err == nil && len(name) == 0 {
		err = errNoSetID
	}
	return name, err
}
