package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/drayage/drayage/internal/image"
)

// basePlatform says what an image is for, and what is done where its base is for
// something else.
type basePlatform struct {
	target, base string // labels
	platform     string
	mismatch     string
}

func (p *basePlatform) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.platform, "target-platform", "", "`os/architecture[/variant]` that the layers are built for; the base must be for it too")
	flags.StringVar(&p.mismatch, "mismatch", "error", "what to do about a base for another platform: error or warn")
	flags.StringVar(&p.target, "target", "", "`LABEL` of the image, for that message")
	flags.StringVar(&p.base, "base", "", "`LABEL` of the base, for that message")
}

// check compares the platforms. A warning goes to messages, which Bazel shows.
func (p *basePlatform) check(base *image.Base, messages io.Writer) error {
	if p.mismatch != "error" && p.mismatch != "warn" {
		return fmt.Errorf("--mismatch: %q must be error or warn", p.mismatch)
	}
	if base == nil || p.platform == "" {
		return nil
	}
	err := base.CheckPlatform(p.platform)
	other, ok := errors.AsType[*image.PlatformError](err)
	if !ok {
		return err
	}
	text := fmt.Sprintf("image %s is built for %s, and its base %s is for %s", p.target, other.Target, p.base, other.Base)
	if p.mismatch == "warn" {
		_, err := fmt.Fprintf(messages, "drayage: warning: %s\n", text)
		return err
	}
	return fmt.Errorf("%s. Use the base for %s (@NAME of a pull is the one for the target platform), or build the image for %s: "+
		"set its attribute platform, the platforms of its image_index, or --platforms. To allow the mismatch, pass --@drayage//rules/settings:base_platform=warn",
		text, other.Target, other.Base)
}
