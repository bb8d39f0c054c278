package layer

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// modePattern is the mode of the files whose paths match a pattern.
type modePattern struct {
	pattern string
	mode    fs.FileMode
	matched bool
}

// addPattern adds a pattern, in which * stands for any text without a slash, ? for
// one such character, [abc] for one of those, {a,b} for either, and ** for any
// number of folders. Of several that match, the last counts.
func (l *lister) addPattern(pattern string, mode fs.FileMode) error {
	pattern = path.Join("/", pattern)
	if !doublestar.ValidatePattern(pattern) {
		return fmt.Errorf("modes: %q is not a valid pattern: a bracket or brace is not closed", pattern)
	}
	l.patterns = append(l.patterns, modePattern{pattern: pattern, mode: mode})
	return nil
}

// applyModes gives files the modes that patterns have for them, but for those that
// have one of their own.
func (l *lister) applyModes() error {
	if len(l.patterns) == 0 {
		return nil
	}
	for i, e := range l.entries {
		if e.dir || e.link != "" && e.source == "" || e.removed {
			continue
		}
		at := path.Join("/", e.path)
		for j := range l.patterns {
			p := &l.patterns[j]
			if !doublestar.MatchUnvalidated(p.pattern, at) {
				continue
			}
			p.matched = true
			if e.open {
				l.entries[i].Mode = p.mode
			}
		}
	}
	for _, p := range l.patterns {
		if !p.matched {
			return fmt.Errorf("modes: no file of the layer matches %q", p.pattern)
		}
	}
	return nil
}

// parseOpenMode reads a mode, and whether it is only the usual one: "0644?".
func parseOpenMode(text string) (mode fs.FileMode, open bool, err error) {
	text, open = strings.CutSuffix(text, "?")
	mode, err = parseMode(text)
	return mode, open, err
}
