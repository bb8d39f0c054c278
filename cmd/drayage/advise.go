package main

import (
	"errors"
	"fmt"

	"github.com/drayage/drayage/internal/bazel"
	"github.com/drayage/drayage/internal/cas"
)

// advise says what to do about a layer that is nowhere. Why it is nowhere is not known
// here: nobody has seen the build's events.
func (f *specFlags) advise(err error) error {
	if _, ok := errors.AsType[*cas.NotFoundError](err); !ok {
		return err
	}
	more := ""
	if f.diskCache == "" {
		more += " If the build has a --disk_cache, name its folder with --disk-cache."
	}
	if f.instance == "" {
		more += " If the build has a --remote_instance_name, give it with --instance."
	}
	again := " Build again with "
	if more != "" {
		again = " Otherwise build again with "
	}
	return fmt.Errorf("%w, and not on this machine.%s%s%s", err, more, again, bazel.Again)
}
