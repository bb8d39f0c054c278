package bep

import (
	"slices"
	"strings"

	"github.com/drayage/drayage/bes/wire"
)

// KeptFlags are the flags of Bazel's that [Invocation.Flags] can hold: those that say
// which caches a build uses, and what it uploads to them. Nothing else is kept of a
// command line, which can hold secrets.
func KeptFlags() []string {
	return []string{
		"disk_cache",
		"modify_execution_info",
		"output_groups",
		"remote_build_event_upload",
		"remote_cache",
		"remote_executor",
		"remote_upload_local_results",
	}
}

// maxFlag bounds the value of one flag, in bytes.
const maxFlag = 1024

// optionsParsed keeps the flags that matter.
func (s *Scanner) optionsParsed(payload []byte) error {
	const cmdLine = 3
	flags := map[string]string{"remote_cache": ""} // there is none unless it comes
	m := wire.Walk(payload)
	for m.Next() {
		if m.Num != cmdLine || len(m.Bytes) > maxFlag {
			continue
		}
		name, value := splitFlag(text(m.Bytes))
		if !slices.Contains(KeptFlags(), name) {
			continue
		}
		switch name {
		case "remote_cache", "remote_executor":
			value = scheme(value)
		case "disk_cache":
			if value != "" {
				value = "set"
			}
		case "output_groups":
			// It adds up, where the others replace each other.
			value = strings.Trim(flags[name]+","+value, ",")
		}
		if len(value) <= maxFlag {
			flags[name] = value
		}
	}
	if m.Err != nil {
		return m.Err
	}
	size := int64(len(flags) * 64)
	for _, value := range flags {
		size += int64(len(value))
	}
	if s.keep(size) {
		s.invocation.Flags = flags
	}
	return nil
}

// splitFlag takes "--name=value" apart. Bazel writes "--name" and "--noname" where the
// value is true or false.
func splitFlag(text string) (name, value string) {
	name, value, given := strings.Cut(strings.TrimPrefix(text, "--"), "=")
	if given {
		return name, value
	}
	if positive, negated := strings.CutPrefix(name, "no"); negated {
		return positive, "false"
	}
	return name, "true"
}

// scheme is that of an address of a remote cache: the rest may hold a password. Bazel
// takes one without a scheme for grpcs.
func scheme(address string) string {
	if address == "" {
		return ""
	}
	for _, known := range []string{"grpc", "grpcs", "http", "https", "unix"} {
		if strings.HasPrefix(address, known+":") {
			return known
		}
	}
	return "grpcs"
}
