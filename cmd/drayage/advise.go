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
		more += " If the build uses a --disk_cache, pass its folder as --disk-cache."
	}
	if f.instance == "" {
		more += " If the build uses a --remote_instance_name, pass it as --instance."
	}
	again := " Build again with "
	if more != "" {
		again = " Otherwise build again with "
	}
	return fmt.Errorf("%w. It is not on this machine either.%s%s%s", err, more, again, bazel.Again)
}
