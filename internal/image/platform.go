package image

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/platform"
)

// PlatformError says that a base is for another platform than the image upon it.
type PlatformError struct {
	// Base and Target are the platforms, as "os/architecture[/variant]".
	Base, Target string
}

func (e *PlatformError) Error() string {
	return fmt.Sprintf("the base is for %s, but the image is for %s", e.Base, e.Target)
}

// CheckPlatform returns a [*PlatformError] if what is built for the target platform,
// "os/architecture[/variant]", cannot be meant to go upon the base. A base that does
// not say what it is for goes with all.
func (b *Base) CheckPlatform(target string) error {
	wanted, err := v1.ParsePlatform(target)
	if err != nil {
		return fmt.Errorf("platform %q must be os/architecture", target)
	}
	has, err := platformOf(b.Config, b.Platform)
	if err != nil {
		return fmt.Errorf("base: %w", err)
	}
	if platform.Carries(has, *wanted) {
		return nil
	}
	return &PlatformError{Base: platform.Name(has), Target: target}
}

// platformOf is what an image is for, by its config and by what an index says of it.
func platformOf(config, listed []byte) (v1.Platform, error) {
	parsed, err := v1.ParseConfigFile(bytes.NewReader(config))
	if err != nil {
		return v1.Platform{}, fmt.Errorf("read config: %w", err)
	}
	has := v1.Platform{
		OS: parsed.OS, Architecture: parsed.Architecture, Variant: parsed.Variant, OSVersion: parsed.OSVersion, OSFeatures: parsed.OSFeatures,
	}
	if listed == nil {
		return has, nil
	}
	var index v1.Platform
	if err := json.Unmarshal(listed, &index); err != nil {
		return v1.Platform{}, fmt.Errorf("read platform: %w", err)
	}
	return platform.Fill(has, index), nil
}

// fillPlatform writes into the config of a base what only an index says of it.
func (d *draft) fillPlatform(base *Base) error {
	if base.Platform == nil {
		return nil
	}
	has, err := platformOf(base.Config, base.Platform)
	if err != nil {
		return fmt.Errorf("base: %w", err)
	}
	return errors.Join(
		d.config.set("os", has.OS),
		d.config.set("architecture", has.Architecture),
		d.config.set("variant", has.Variant),
		d.config.set("os.version", has.OSVersion),
		d.config.set("os.features", has.OSFeatures),
	)
}
