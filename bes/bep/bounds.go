package bep

import (
	"fmt"
	"time"

	"github.com/drayage/drayage/bes/wire"
)

// Bounds of the texts that a build supplies, in bytes. No real build comes near them.
// What is over its bound is refused, or cut off, and [Found.Refused] says so.
const (
	// maxLabel bounds the label of a target, and the name of an aspect.
	maxLabel = 4 << 10
	// maxShort bounds what names a thing: a command, a version, an exit code, the id of
	// a configuration, a key.
	maxShort = 256
	// maxFileName bounds the path of a file, and maxFileURI where it is.
	maxFileName = 4 << 10
	maxFileURI  = 4 * maxFileName
	// maxDigest bounds a digest in hexadecimal: that of SHA-512.
	maxDigest = 128
	// maxPairs bounds the keys and values of the workspace status together, and so those
	// of the build metadata.
	maxPairs = 64 << 10
	// pairSize is what a key with its value counts besides their bytes.
	pairSize = 32
	// maxConfigurations bounds the configurations in which one event announces a target.
	maxConfigurations = 256
	// maxRefusals bounds what is said of one event.
	maxRefusals = 8
)

// refusef notes for the log that a part of the event was refused.
func (s *Scanner) refusef(format string, args ...any) {
	if len(s.found.Refused) < maxRefusals {
		s.found.Refused = append(s.found.Refused, fmt.Sprintf(format, args...))
	}
}

// short copies a text out of the event as far as it may go.
func (s *Scanner) short(what string, b []byte) string {
	if len(b) <= maxShort {
		return text(b)
	}
	s.refusef("the %s has %d bytes; only the first %d are kept", what, len(b), maxShort)
	return text(b[:maxShort])
}

// bounded copies a text out of the event, or fails if it is too long.
func bounded(what string, b []byte, limit int) (string, error) {
	if len(b) > limit {
		return "", fmt.Errorf("the %s has %d bytes; the limit is %d", what, len(b), limit)
	}
	return text(b), nil
}

// remember keeps a record of the event, if there is room.
func (s *Scanner) remember(record [][]byte) {
	if s.keep(int64(len(record[0]))) {
		s.found.Remember = append(s.found.Remember, record...)
	}
}

// pairs adds to known what a WorkspaceStatus, or the map of a BuildMetadata, says: a
// repeated {key 1, value 2} in field 1. kept is the payload less what was refused.
func (s *Scanner) pairs(what string, known map[string]string, payload []byte) (all map[string]string, kept []byte, err error) {
	all = make(map[string]string, len(known))
	size := 0
	for key, value := range known {
		all[key] = value
		size += pairSize + len(key) + len(value)
	}
	m := wire.Walk(payload)
	for m.Next() {
		if m.Num != 1 {
			continue
		}
		key, value, err := pair(m.Bytes)
		if err != nil {
			return nil, nil, err
		}
		// What is not UTF-8 grows when it is replaced.
		name, content := text(key[:min(len(key), maxShort+1)]), text(value[:min(len(value), maxPairs)])
		grown := pairSize + len(name) + len(content)
		if before, there := all[name]; there {
			grown = len(content) - len(before)
		}
		switch {
		case len(name) > maxShort:
			s.refusef("a key of the %s has %d bytes; the limit is %d, so it is left out", what, len(key), maxShort)
			continue
		case len(value) > maxPairs || size+grown > maxPairs:
			s.refusef("%s of the %s, with %d bytes, is left out: all together must not have more than %d", name, what, len(value), maxPairs)
			continue
		}
		size += grown
		all[name] = content
		kept = appendField(kept, 1, appendField(appendField(nil, 1, []byte(name)), 2, []byte(content)))
	}
	return all, kept, m.Err
}

func pair(b []byte) (key, value []byte, err error) {
	m := wire.Walk(b)
	for m.Next() {
		switch m.Num {
		case 1:
			key = m.Bytes
		case 2:
			value = m.Bytes
		}
	}
	return key, value, m.Err
}

// plausible is a time that can be written down, or none.
func plausible(t time.Time) time.Time {
	if year := t.Year(); year < 1970 || year > 9999 {
		return time.Time{}
	}
	return t
}

// inline counts the bytes of a push spec that lies in the event itself, and says whether
// there is room for them.
func (s *Scanner) inline(label string, size int) bool {
	if s.inlined+int64(size) > s.options.MaxInlineBytes {
		s.refusef("the push spec of %s is left out: it has %d bytes in the event itself, and the push specs in the events of one build must not have more than %d together",
			label, size, s.options.MaxInlineBytes)
		return false
	}
	s.inlined += int64(size)
	return true
}
