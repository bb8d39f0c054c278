package registry

import (
	"slices"
	"strings"
)

const (
	// maxScopes bounds the scopes that a challenge may name, and maxScope the length of
	// one in bytes.
	maxScopes = 8
	maxScope  = 1024
)

// pushScopes are the scopes to write to a repository, and to mount from others. The
// first one names the repository that the request is for.
func pushScopes(repository string, mountFrom ...string) []string {
	scopes := []string{"repository:" + repository + ":pull,push"}
	for _, from := range mountFrom {
		if from != "" && from != repository {
			scopes = append(scopes, "repository:"+from+":pull")
		}
	}
	slices.Sort(scopes[1:])
	return scopes
}

// pullScopes are those to read a repository. What is only read is asked for with a token
// that allows no more: who copies an image may not be allowed to write where it comes from.
func pullScopes(repository string) []string { return []string{"repository:" + repository + ":pull"} }

// repositoryOf is the repository that a request with these scopes is for.
func repositoryOf(scopes []string) string {
	if len(scopes) == 0 {
		return ""
	}
	s, _ := parseScope(scopes[0])
	return s.name
}

// scope is what a token has to allow (distribution's token specification).
type scope struct {
	kind, name string
	actions    []string
}

// parseScope reads TYPE:NAME:ACTION,ACTION. The name may have a port in it.
func parseScope(text string) (scope, bool) {
	kind, rest, ok := strings.Cut(text, ":")
	end := strings.LastIndex(rest, ":")
	if !ok || end < 0 || kind == "" || rest[:end] == "" {
		return scope{}, false
	}
	return scope{kind: kind, name: rest[:end], actions: strings.Split(rest[end+1:], ",")}, true
}

func (s scope) String() string { return s.kind + ":" + s.name + ":" + strings.Join(s.actions, ",") }

func (s scope) with(actions ...string) scope {
	s.actions = slices.Clone(s.actions)
	for _, action := range actions {
		if !slices.Contains(s.actions, action) && action != "" {
			s.actions = append(s.actions, action)
		}
	}
	return s
}

// challengedScopes are what to ask for after a challenge that names scopes: those, with
// all the actions that are needed. A registry behind a gateway knows a repository by
// another name than we do; its own names count then, and ours mean nothing to it.
func challengedScopes(needed []string, challenge string) []string {
	var named []scope
	for text := range strings.FieldsSeq(challenge) {
		s, ok := parseScope(text)
		if !ok || len(text) > maxScope || len(named) == maxScopes || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return needed
		}
		named = append(named, s)
	}
	if len(named) == 0 {
		return needed
	}
	foreign := slices.ContainsFunc(named, func(s scope) bool { return s.kind == "repository" && !isNeeded(needed, s) })
	var asked []string
	for _, s := range named {
		asked = append(asked, s.with(actionsFor(needed, named, s)...).String())
	}
	for _, text := range needed {
		s, _ := parseScope(text)
		if !foreign && !slices.ContainsFunc(named, func(n scope) bool { return n.kind == s.kind && n.name == s.name }) {
			asked = append(asked, text)
		}
	}
	// In one order, whatever the challenge's: a token is known by them.
	slices.Sort(asked)
	return slices.Compact(asked)
}

func isNeeded(needed []string, s scope) bool {
	return slices.ContainsFunc(needed, func(text string) bool {
		n, _ := parseScope(text)
		return n.kind == s.kind && n.name == s.name
	})
}

// actionsFor are the actions that are needed of a scope that a challenge names: those of
// the needed scope of that name, or else of the repository that the request is for, if
// this is the one that the challenge means by it.
func actionsFor(needed []string, named []scope, s scope) []string {
	for _, text := range needed {
		if n, _ := parseScope(text); n.kind == s.kind && n.name == s.name {
			return n.actions
		}
	}
	if s.kind != "repository" || isNeeded(needed[:1], s) {
		return nil
	}
	first, _ := parseScope(needed[0])
	repositories := 0
	for _, n := range named {
		if n.kind == "repository" {
			repositories++
		}
	}
	if repositories == 1 || slices.Contains(s.actions, "push") {
		return first.actions
	}
	return nil
}
